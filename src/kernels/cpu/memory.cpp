#include "kernels/cpu/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace mfa {

Pages::Pages(size_t bytes) : bytes_(std::max<size_t>(bytes, 1)) {
  void* memory = MAP_FAILED;
  if (bytes_ < std::numeric_limits<size_t>::max() / 2)
    memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("[memory] no memory, got none for {}", human_bytes(bytes));
  data_ = static_cast<std::byte*>(memory);
  // Huge pages: a product walks many rows that lie far apart, and would miss the TLB with small ones. Only a wish.
  constexpr size_t kHugePage = size_t{2} << 20;
  if (bytes_ >= 2 * kHugePage) madvise(memory, bytes_, MADV_HUGEPAGE);
}

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

void Pages::swap(Pages& other) {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
}

std::byte* Heap::allocate(size_t bytes) {
  Pages pages(bytes);
  std::byte* data = pages.data();
  blocks_[data].swap(pages);
  return data;
}

void Heap::release(std::byte* memory) { blocks_.erase(memory); }

float* Scratch::floats(size_t count) {
  if (count * sizeof(float) > pages_.bytes()) {
    Pages larger(std::max(count * sizeof(float), pages_.bytes() * 3 / 2));
    pages_.swap(larger);
  }
  return reinterpret_cast<float*>(pages_.data());
}

}  // namespace mfa
