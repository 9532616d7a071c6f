// Memory laid out once and carved by hand, so that a training or decoding step allocates nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"

namespace mfa {

// Carves tensors from one block. A plan is made by the same code twice: once over no memory (`Arena()`), which only
// adds up the bytes, then over a block of `bytes()`. Alignment is 64 bytes, one cache line.
class Arena {
 public:
  struct Entry {  // one line of the printed list of saved activations
    std::string name;
    DType type;
    int64_t rows, cols;
  };

  Arena() = default;
  Arena(std::byte* memory, size_t capacity) : memory_(memory), capacity_(capacity) {}

  Tensor tensor(std::string_view name, DType type, int64_t rows, int64_t cols);

  // Everything carved after `mark()` is free again after `release(mark)`: scratch of one layer serves the next.
  size_t mark() const { return used_; }
  void release(size_t mark) { used_ = mark; }

  size_t bytes() const { return peak_; }
  bool planning() const { return memory_ == nullptr; }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::byte* memory_ = nullptr;
  size_t capacity_ = 0, used_ = 0, peak_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace mfa
