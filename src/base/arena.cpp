#include "base/arena.h"

#include <algorithm>
#include <new>
#include <stdexcept>

namespace mfa {

Tensor Arena::tensor(std::string_view name, DType type, int64_t rows, int64_t cols) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<size_t>(rows), static_cast<size_t>(cols) * size_of(type), &bytes) ||
      bytes > SIZE_MAX / 4 - used_)
    throw std::bad_alloc();
  // While planning the address is only a number that is never read; it is not null, so that views stay truthy.
  std::byte* data = planning() ? reinterpret_cast<std::byte*>(64 + used_) : memory_ + used_;
  used_ += (bytes + 63) / 64 * 64;
  peak_ = std::max(peak_, used_);
  if (!planning() && used_ > capacity_) throw std::logic_error("[arena] the second plan is larger than the first");
  if (planning()) entries_.push_back({std::string(name), type, rows, cols});
  return {data, type, rows, cols, cols};
}

}  // namespace mfa
