#include "model/rotary.h"

#include "model/parameter_store.h"
#include "model/position.h"

namespace mfa {

RotaryTable RotaryTables::get(const AttentionSpec& spec) {
  const int64_t dim = spec.rotary_dim();
  if (dim == 0) return {};
  for (const Entry& entry : entries_)
    if (entry.rotary_dim == dim && entry.rope == spec.rope) return entry.table;
  const RopeTable host = rope_table(spec.rope, dim, positions_);
  const DType real = device_->real();
  const int64_t numbers = host.positions * host.half;
  DeviceMemory memory(*device_, static_cast<size_t>(2 * numbers) * size_of(real));
  const Tensor cos{memory.data(), real, host.positions, host.half, host.half};
  const Tensor sin{memory.data() + numbers * static_cast<int64_t>(size_of(real)), real, host.positions, host.half,
                   host.half};
  upload_numbers(*device_, cos, host.cos);
  upload_numbers(*device_, sin, host.sin);
  entries_.push_back({spec.rope, dim, std::move(memory), {cos, sin}});
  return entries_.back().table;
}

}  // namespace mfa
