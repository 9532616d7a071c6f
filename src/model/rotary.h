// RoPE tables on a device, shared by all layers that rotate alike.
#pragma once

#include <deque>

#include "kernels/device.h"
#include "model/attention_spec.h"

namespace mfa {

struct RotaryTable {
  Tensor cos, sin;  // [positions, half]; empty when the spec rotates nothing
};

class RotaryTables {
 public:
  RotaryTables(Device& device, int64_t positions) : device_(&device), positions_(positions) {}
  // Tables for the spec's rotary dims, made once for equal ones.
  RotaryTable get(const AttentionSpec& spec);

 private:
  struct Entry {
    RopeSpec rope;
    int64_t rotary_dim;
    DeviceMemory memory;
    RotaryTable table;
  };
  Device* device_;
  int64_t positions_;
  std::deque<Entry> entries_;
};

}  // namespace mfa
