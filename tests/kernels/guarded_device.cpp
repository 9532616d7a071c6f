#include "kernels/guarded_device.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/error.h"

namespace mfa {

void GuardedDevice::protect(int protection) const {
  for (const auto& [memory, bytes] : allocations_)
    if (mprotect(memory, bytes, protection) != 0) std::terminate();  // a guard that does not hold must not go unseen
}

GuardedDevice::~GuardedDevice() {
  for (const auto& [memory, bytes] : allocations_) munmap(memory, bytes);
}

// Fresh pages are zero, and aligned to more than 64 bytes.
std::byte* GuardedDevice::allocate(size_t bytes) {
  const size_t size = std::max<size_t>(bytes, 1);
  void* memory = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("[guarded device] memory, got none, expected {} bytes", bytes);
  return allocations_.emplace(static_cast<std::byte*>(memory), size).first->first;
}

void GuardedDevice::release(std::byte* memory) {
  const auto found = allocations_.find(memory);
  if (found == allocations_.end()) std::terminate();
  munmap(found->first, found->second);
  allocations_.erase(found);
}

void GuardedDevice::begin(OperationKind) { protect(PROT_READ | PROT_WRITE); }
void GuardedDevice::end(OperationKind) { protect(PROT_NONE); }

std::unique_ptr<Device> make_guarded_device(std::unique_ptr<Device> inner) {
  return std::make_unique<GuardedDevice>(std::move(inner));
}

}  // namespace mfa
