// A device that measures the seconds spent in each kind of operation: where a step's time goes.
#pragma once

#include <array>

#include "base/progress.h"
#include "kernels/forwarding_device.h"

namespace mfa {

// Costs two readings of the clock an operation, about 50 ns.
class TimedDevice : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  // Since the last reset().
  double seconds(OperationKind kind) const { return seconds_[static_cast<size_t>(kind)]; }
  void reset() { seconds_ = {}; }

 protected:
  void begin(OperationKind) override { began_ = now_seconds(); }
  void end(OperationKind kind) override { seconds_[static_cast<size_t>(kind)] += now_seconds() - began_; }

 private:
  std::array<double, 5> seconds_ = {};
  double began_ = 0;
};

}  // namespace mfa
