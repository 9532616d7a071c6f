#include "kernels/cpu/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace mfa {

namespace {

// Bytes that the kernel says this process could still take when it first asked. Mapped pages take memory only when
// they are touched, so that the sum of what was handed out is what counts, not what is free right now.
size_t available_at_start() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (size_t kilobytes = 0; std::sscanf(line.c_str(), "MemAvailable: %zu kB", &kilobytes) == 1)
      return kilobytes << 10;
  return std::numeric_limits<size_t>::max();
}

std::atomic<size_t> g_handed_out{0};

constexpr size_t kHugePage = size_t{2} << 20;

// Zeroed memory, or null. Of some size, it begins with a huge page and asks for such: a product walks many rows that
// lie far apart, and would miss the TLB with small pages. Only a wish.
std::byte* map(size_t bytes) {
  const bool huge = bytes >= 2 * kHugePage;
  const size_t mapped = huge ? bytes + kHugePage : bytes;
  void* const memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* const first = static_cast<std::byte*>(memory);
  if (!huge) return first;
  const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(memory) % kHugePage) % kHugePage;
  const auto small_page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t end = before + (bytes + small_page - 1) / small_page * small_page;
  if (before > 0) munmap(first, before);
  if (end < mapped) munmap(first + end, mapped - end);
  madvise(first + before, bytes, MADV_HUGEPAGE);
  return first + before;
}

}  // namespace

// Refused here, with a clear line, is better than killed by the system in the middle of a run.
Pages::Pages(size_t bytes) : bytes_(std::max<size_t>(bytes, 1)) {
  static const size_t available = available_at_start();
  const size_t others = g_handed_out.fetch_add(bytes_);
  if (bytes_ > available || others > available - bytes_) {
    g_handed_out -= bytes_;
    bad_input(
        "[memory] not enough, got {} asked for beside {} in use, expected at most {} in all: use a smaller model, "
        "batch or context",
        human_bytes(bytes), human_bytes(others), human_bytes(available));
  }
  data_ = map(bytes_);
  if (data_ == nullptr) {
    g_handed_out -= bytes_;
    fail("[memory] no memory, got none for {}", human_bytes(bytes));
  }
}

Pages::~Pages() {
  if (data_ == nullptr) return;
  munmap(data_, bytes_);
  g_handed_out -= bytes_;
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
