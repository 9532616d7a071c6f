// A device whose memory cannot be read or written outside of its operations: code above kernels/ that dereferences a
// tensor dies at once (SIGSEGV), as it would with memory that lives on a GPU. For tests of every room.
#pragma once

#include <map>
#include <memory>

#include "kernels/forwarding_device.h"

namespace mfa {

// Wraps any device. Each allocation has pages of its own, inaccessible but while an operation of the inner device runs;
// the inner device's packed weights and KV pools are opaque and not guarded. One mprotect an allocation and operation:
// keep allocations few. Not thread-safe, as Device is not.
class GuardedDevice : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  GuardedDevice(const GuardedDevice&) = delete;
  GuardedDevice& operator=(const GuardedDevice&) = delete;
  ~GuardedDevice() override;

  std::byte* allocate(size_t bytes) override;
  void release(std::byte* memory) override;

 protected:
  void begin(OperationKind) override;
  void end(OperationKind) override;

 private:
  void protect(int protection) const;

  std::map<std::byte*, size_t> allocations_;  // start of the pages -> their bytes
};

std::unique_ptr<Device> make_guarded_device(std::unique_ptr<Device> inner);

}  // namespace mfa
