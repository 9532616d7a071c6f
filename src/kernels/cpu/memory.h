// Memory of the CPU device: zeroed, aligned allocations, and scratch that grows and never shrinks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace mfa {

// Pages straight from the system: zero without being touched, so that a large cache costs only what is used of it.
class Pages {
 public:
  Pages() = default;
  explicit Pages(size_t bytes);  // Failure when there is no memory
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages();
  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  void swap(Pages& other);

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// What Device::allocate hands out.
class Heap {
 public:
  std::byte* allocate(size_t bytes);
  void release(std::byte* memory);

 private:
  std::unordered_map<std::byte*, Pages> blocks_;
};

// A buffer of floats that only grows, so that a step after the first allocates nothing. Contents are not kept.
class Scratch {
 public:
  float* floats(size_t count);

 private:
  Pages pages_;
};

}  // namespace mfa
