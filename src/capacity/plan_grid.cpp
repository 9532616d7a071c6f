#include "capacity/plan_grid.h"

#include <algorithm>

namespace mfa {
namespace {

using Values = std::vector<int32_t>;

Values clipped(const std::vector<int64_t>& values) {
  Values result;
  for (const int64_t value : values)
    if (value <= 1 << 20) result.push_back(static_cast<int32_t>(value));
  return result;
}

Values sorted_unique(Values values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

Values multiples(int64_t step, int64_t low, int64_t high) {
  Values values;
  for (int64_t v = (low + step - 1) / step * step; v <= high; v += step) values.push_back(static_cast<int32_t>(v));
  return values;
}

// Of `values` those in [low, high].
Values between(std::initializer_list<int32_t> values, int64_t low, int64_t high) {
  Values result;
  for (const int32_t v : values)
    if (v >= low && v <= high) result.push_back(v);
  return result;
}

// The values of one variant at one width, made once; the loops below only read them.
class Sizes {
 public:
  Sizes(Variant variant, int64_t width, PositionKind position, const PlanGrid& grid)
      : variant_(variant), width_(width), position_(position), grid_(grid) {
    heads_ = grid.heads.empty() ? default_heads() : clipped(grid.heads);
  }

  Values head_dims() const {
    if (variant_ == Variant::fpba) return {static_cast<int32_t>(width_)};
    if (!grid_.head_dim.empty()) return clipped(grid_.head_dim);
    const int64_t low = std::max<int64_t>(8, width_ / 64), high = std::min<int64_t>(512, width_);
    if (grid_.full) return multiples(variant_ == Variant::mla ? 16 : 8, low, std::min<int64_t>(high, most_head_dim()));
    return between({8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 512}, low,
                   std::min(high, most_head_dim()));
  }

  // Ascending. A given list is taken as it is, a default one ends where heads would exceed four widths.
  const Values& heads() const { return heads_; }
  int64_t most_heads(int64_t head_dim) const {
    if (variant_ == Variant::fpba || !grid_.heads.empty()) return INT32_MAX;  // fpba: one for each dim of the width
    return std::max<int64_t>(1, kMostHeadWidths * width_ / head_dim);
  }

  bool takes_kv_heads(int32_t kv_heads) const {
    return grid_.kv_heads.empty() || std::binary_search(grid_.kv_heads.begin(), grid_.kv_heads.end(), kv_heads);
  }
  // For heads that are still open.
  Values kv_heads() const {
    return grid_.kv_heads.empty() ? Values{2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32} : clipped(grid_.kv_heads);
  }

  Values kv_ranks() const {
    if (!grid_.kv_rank.empty()) return clipped(grid_.kv_rank);
    const int64_t low = std::max<int64_t>(8, width_ / 32), high = std::max<int64_t>(8, width_ / 2);
    if (grid_.full) return multiples(width_ < 1024 ? 16 : 128, low, high);
    return between({8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048}, low, high);
  }

  Values rope_dims(int64_t head_dim) const {
    if (position_ != PositionKind::rope) return {0};
    if (!grid_.rope_dim.empty()) return clipped(grid_.rope_dim);
    const auto half = static_cast<int32_t>(std::max<int64_t>(2, head_dim / 4 * 2));
    return grid_.full ? sorted_unique({32, half, 64}) : sorted_unique({half, std::min(2 * half, 64)});
  }

  // Of mfa and mfa-kr: the paper has r = C, Step-3 8 C.
  Values query_ranks(int32_t head_dim) const {
    if (!grid_.q_rank.empty()) return clipped(grid_.q_rank);
    Values ranks = {head_dim};
    for (const int32_t times : {2, 4, 8})
      if (times * head_dim <= width_) ranks.push_back(times * head_dim);
    if (grid_.full)
      for (const int32_t rank : multiples(width_ < 1024 ? 16 : 128, head_dim, width_)) ranks.push_back(rank);
    return sorted_unique(std::move(ranks));
  }

  // Of mla: dense (0, as DeepSeek-V2-Lite has it) or one to three times the latent (DeepSeek-V3: three).
  Values query_ranks_of_latent(int32_t kv_rank) const {
    if (!grid_.q_rank.empty()) return clipped(grid_.q_rank);
    Values ranks = {0, kv_rank};
    if (2 * kv_rank <= width_) ranks.push_back(2 * kv_rank);
    if (3 * kv_rank <= width_) ranks.push_back(3 * kv_rank);
    return ranks;
  }

 private:
  Values default_heads() const {
    if (variant_ == Variant::fpba) return {static_cast<int32_t>(width_)};
    Values values;
    const auto most = static_cast<int32_t>(std::min<int64_t>(kMostHeadWidths * width_, 1024));
    for (int32_t n = 1; n <= most; n += grid_.full || n < 16 ? 1 : n < 32 ? 2 : n < 64 ? 4 : n < 128 ? 8 : 16)
      values.push_back(n);
    return values;
  }
  // MLA's latent is wider than a head; published ones have 128, with 192 the widest compared dims.
  int64_t most_head_dim() const { return variant_ == Variant::mla ? 256 : 512; }

  Variant variant_;
  int64_t width_;
  PositionKind position_;
  const PlanGrid& grid_;
  Values heads_;
};

// All counts of heads for a spec whose other sizes are set.
void visit_heads(const Sizes& sizes, PlanSpec spec, bool solve, const std::function<void(const PlanSpec&)>& visit) {
  const bool own = spec.variant == Variant::mha || spec.variant == Variant::mla;  // a KV head for each head
  if (solve) {
    spec.kv_heads = own ? 0 : 1;
    return visit(spec);
  }
  const int64_t most = sizes.most_heads(spec.head_dim);
  for (const int32_t heads : sizes.heads()) {
    if (heads > most) break;
    spec.heads = heads;
    spec.kv_heads = own ? heads : 1;
    visit(spec);
  }
}

// GQA: from two KV heads, which mqa does not have, to half as many as there are heads.
void visit_groups(const Sizes& sizes, PlanSpec spec, bool solve, const std::function<void(const PlanSpec&)>& visit) {
  if (solve) {
    for (const int32_t kv_heads : sizes.kv_heads()) {
      spec.kv_heads = kv_heads;
      if (kv_heads > 1) visit(spec);
    }
    return;
  }
  const int64_t most = sizes.most_heads(spec.head_dim);
  for (const int32_t heads : sizes.heads()) {
    if (heads > most) break;
    spec.heads = heads;
    for (spec.kv_heads = 2; spec.kv_heads <= heads / 2; ++spec.kv_heads)
      if (heads % spec.kv_heads == 0 && sizes.takes_kv_heads(spec.kv_heads)) visit(spec);
  }
}

}  // namespace

void for_each_attention(Variant variant, int64_t width, PositionKind position, const PlanGrid& grid, bool solve_heads,
                        const std::function<void(const PlanSpec&)>& visit) {
  const Sizes sizes(variant, width, position, grid);
  PlanSpec spec;
  spec.variant = variant;
  spec.width = static_cast<int32_t>(width);
  for (const int32_t head_dim : sizes.head_dims()) {
    spec.head_dim = head_dim;
    if (variant == Variant::gqa) {
      visit_groups(sizes, spec, solve_heads, visit);
    } else if (variant == Variant::mfa || variant == Variant::mfa_kr) {
      for (const int32_t rank : sizes.query_ranks(head_dim)) {
        spec.q_rank = rank;
        visit_heads(sizes, spec, solve_heads, visit);
      }
    } else if (variant == Variant::mla) {
      for (const int32_t kv_rank : sizes.kv_ranks()) {
        spec.kv_rank = kv_rank;
        for (const int32_t rope_dim : sizes.rope_dims(head_dim)) {
          spec.rope_dim = rope_dim;
          for (const int32_t rank : sizes.query_ranks_of_latent(kv_rank)) {
            spec.q_rank = rank;
            visit_heads(sizes, spec, solve_heads, visit);
          }
        }
      }
    } else {
      visit_heads(sizes, spec, solve_heads, visit);
    }
  }
}

}  // namespace mfa
