#include "capacity/plan_bounds.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text_table.h"
#include "capacity/plan_count.h"

namespace mfa {
namespace {

constexpr int64_t kMostSize = 1 << 20;  // of any size of a spec (model/validate.cpp)

void check_list(std::string_view flag, const std::vector<int64_t>& values, int64_t least, int64_t most) {
  for (const int64_t value : values)
    if (value < least || value > most) bad_input("[plan] {}, got {}, expected {} to {}", flag, value, least, most);
}

// RoPE pairs dims.
void check_even(std::string_view flag, const std::vector<int64_t>& values) {
  for (const int64_t value : values)
    if (value % 2 != 0) bad_input("[plan] {}, got {}, expected even numbers: RoPE pairs dims", flag, value);
}

void check_sizes(const PlanRequest& request) {
  check_list("--width", request.widths, 2, kMostSize);
  check_list("--ffn", request.ffns, 1, 1 << 24);
  check_list("--heads", request.grid.heads, 1, kMostSize);
  check_list("--kv-heads", request.grid.kv_heads, 2, kMostSize);
  check_list("--head-dim", request.grid.head_dim, 1, kMostSize);
  check_list("--q-rank", request.grid.q_rank, 0, kMostSize);
  check_list("--kv-rank", request.grid.kv_rank, 1, kMostSize);
  check_list("--rope-dim", request.grid.rope_dim, 2, kMostSize);
  check_list("--context", request.contexts, 1, int64_t{1} << 26);
  if (request.shape.position != PositionKind::rope) return;
  check_even("--head-dim", request.grid.head_dim);
  check_even("--rope-dim", request.grid.rope_dim);
  check_even("--width", request.widths);
}

void check_parameters(const PlanRequest& request) {
  if (request.parameters == 0) {
    if (request.widths.empty())
      bad_input("[plan] neither --width nor --parameters is given, expected one of them or both");
    return;
  }
  if (request.gives_way == GivesWay::width && !request.widths.empty())
    bad_input("[plan] --width is given but gives way; hold it, or leave it out");
  if (request.gives_way == GivesWay::heads && !request.grid.heads.empty())
    bad_input("[plan] --heads is given but gives way; hold it, or leave it out");
  if (request.gives_way == GivesWay::ffn && !request.ffns.empty())
    bad_input("[plan] --ffn is given but gives way; hold it, or leave it out");
  if (request.gives_way == GivesWay::width && request.ffns.size() > 1)
    bad_input("[plan] --ffn, got {} values, expected one where the width gives way", request.ffns.size());
}

}  // namespace

std::string_view name_of(Bound bound) {
  constexpr std::array<std::string_view, kBounds> kNames = {"parameters", "KV bytes", "memory", "TER", "SLSD"};
  return kNames[static_cast<size_t>(bound)];
}

void check_request(const PlanRequest& request) {
  if (request.variants.empty()) bad_input("[plan] --variants names none, expected at least one");
  if (request.contexts.empty()) bad_input("[plan] --context names none, expected at least one");
  check_sizes(request);
  check_parameters(request);
  if (!(request.least_ffn > 0 && request.least_ffn <= request.most_ffn))
    bad_input("[plan] --ffn-ratio, got {} to {}, expected a rising range of positive numbers", request.least_ffn,
              request.most_ffn);
  if (!request.compared[0] && !request.compared[1])
    bad_input("[plan] --objectives has neither ter nor slsd, expected what capacity is compared in");
}

std::string miss_text(const Miss& miss, const PlanRequest& request) {
  const PlanFigures& f = miss.planned.figures;
  const auto bytes = [](double value) { return human_bytes(static_cast<uint64_t>(value)); };
  switch (miss.bound) {
    case Bound::parameters:
      if (f.parameters == SpecCounter::kTooMany) return "the smallest has more than 2^40 parameters";
      return fmt::format("the nearest to {} parameters (± {:.3g} %) has {}", grouped(request.parameters),
                         100 * request.tolerance, grouped(f.parameters));
    case Bound::kv:
      return fmt::format("the smallest cache is {} B a token, over --kv-bytes {}", grouped(f.kv_bytes),
                         grouped(request.kv_bytes));
    case Bound::memory:
      return fmt::format("the least memory is {} ({} sequences of {} tokens), over the {} of {}", bytes(f.memory_bytes),
                         request.batch, grouped(longest_context(request)), bytes(request.hardware.memory_bytes),
                         request.hardware.name);
    case Bound::ter:
      return fmt::format("the highest TER is {}, under --min-ter {}", grouped(f.ter), grouped(request.least_ter));
    case Bound::slsd:
      return fmt::format("the highest SLSD is {}, under --min-slsd {}", grouped(f.slsd), grouped(request.least_slsd));
  }
  return {};
}

}  // namespace mfa
