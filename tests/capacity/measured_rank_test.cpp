#include "capacity/measured_rank.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "model/presets.h"

namespace mfa {
namespace {

// A plain matrix, row-major.
struct Plain {
  int64_t rows = 0, cols = 0;
  std::vector<double> x;
  Plain(int64_t r, int64_t c) : rows(r), cols(c), x(static_cast<size_t>(r * c), 0.0) {}
  double& at(int64_t i, int64_t j) { return x[static_cast<size_t>(i * cols + j)]; }
  double at(int64_t i, int64_t j) const { return x[static_cast<size_t>(i * cols + j)]; }
  Plain part(int64_t row, int64_t n) const {
    Plain p(n, cols);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < cols; ++j) p.at(i, j) = at(row + i, j);
    return p;
  }
  Plain transposed() const {
    Plain t(cols, rows);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < cols; ++j) t.at(j, i) = at(i, j);
    return t;
  }
};
Plain operator*(const Plain& a, const Plain& b) {
  Plain c(a.rows, b.cols);
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t k = 0; k < a.cols; ++k)
      for (int64_t j = 0; j < b.cols; ++j) c.at(i, j) += a.at(i, k) * b.at(k, j);
  return c;
}
Plain random_plain(int64_t rows, int64_t cols, uint64_t seed) {
  Plain p(rows, cols);
  Random random(seed);
  for (double& x : p.x) x = random.normal();
  return p;
}
// Columns made orthonormal one after the other, twice against rounding.
Plain orthonormal(Plain p) {
  for (int64_t j = 0; j < p.cols; ++j) {
    for (int round = 0; round < 2; ++round)
      for (int64_t k = 0; k < j; ++k) {
        double dot = 0;
        for (int64_t i = 0; i < p.rows; ++i) dot += p.at(i, j) * p.at(i, k);
        for (int64_t i = 0; i < p.rows; ++i) p.at(i, j) -= dot * p.at(i, k);
      }
    double norm = 0;
    for (int64_t i = 0; i < p.rows; ++i) norm += p.at(i, j) * p.at(i, j);
    for (int64_t i = 0; i < p.rows; ++i) p.at(i, j) /= std::sqrt(norm);
  }
  return p;
}

// Weights by parameter name; those that a test does not set are random, fixed by their names.
class Weights {
 public:
  void set(const std::string& name, const Plain& value) { values_.insert_or_assign(name, value); }
  Plain get(const ParameterSpec& spec) const {
    const auto found = values_.find(spec.name);
    return found != values_.end() ? found->second : random_plain(spec.rows, spec.cols, hash64(spec.name));
  }
  ParameterReader reader() const {
    return [this](const ParameterSpec& spec) {
      const Plain p = get(spec);
      return std::vector<float>(p.x.begin(), p.x.end());
    };
  }

 private:
  std::map<std::string, Plain> values_;
};

ModelConfig small_model(std::string_view preset, const std::function<void(PresetOptions&)>& change = {}) {
  PresetOptions options;
  options.width = 48;
  options.layers = 2;
  options.vocab = 64;
  options.heads = 4;
  options.head_dim = 12;
  options.ffn = 32;
  if (change) change(options);
  return make_preset(preset, options);
}

constexpr const char* kPrefix = "model.layers.0.self_attn.";

// Heads whose factors have known singular values: head h keeps `rank[h]` of them.
TEST(MeasuredRank, OfConstructedHeadsIsWhatWasPutIn) {
  const ModelConfig config = small_model("mha");
  const int64_t H = 48, d = 12, heads = 4;
  const std::vector<int64_t> ranks = {12, 5, 1, 0};
  Plain q(heads * d, H), k(heads * d, H), v(heads * d, H), o(H, heads * d);
  for (int64_t h = 0; h < heads; ++h) {
    const Plain left = orthonormal(random_plain(H, d, 10 + static_cast<uint64_t>(h))),
                right = orthonormal(random_plain(H, d, 20 + static_cast<uint64_t>(h)));
    for (int64_t i = 0; i < d; ++i) {
      const double sigma = i < ranks[static_cast<size_t>(h)] ? 1.0 / static_cast<double>(1 + i) : 0;
      for (int64_t j = 0; j < H; ++j) {
        q.at(h * d + i, j) = sigma * left.at(j, i);
        k.at(h * d + i, j) = right.at(j, i);
        v.at(h * d + i, j) = 2 * sigma * left.at(j, i);
        o.at(j, h * d + i) = right.at(j, i);
      }
    }
  }
  Weights weights;
  const std::string p = kPrefix;
  weights.set(p + "q_proj.weight", q), weights.set(p + "k_proj.weight", k);
  weights.set(p + "v_proj.weight", v), weights.set(p + "o_proj.weight", o);
  const MeasuredRank measured = measure_rank(config, weights.reader());
  EXPECT_DOUBLE_EQ(measured.tolerance, 48 * std::pow(2.0, -23));
  for (size_t h = 0; h < 4; ++h) {
    const HeadRank& head = measured.heads[h];
    double squares = 0;
    for (int64_t i = 0; i < ranks[h]; ++i) squares += 1.0 / static_cast<double>((1 + i) * (1 + i));
    EXPECT_EQ(head.qk.rank, ranks[h]);
    EXPECT_EQ(head.vo.rank, ranks[h]);
    EXPECT_EQ(head.qk.bound, 12);
    // Entries are rounded to f32: singular values move by at most ε · ‖·‖_F, some 1e-6 of the largest.
    EXPECT_NEAR(head.qk.stable_rank, squares, 1e-5);
    EXPECT_NEAR(head.vo.stable_rank, squares, 1e-5);
    EXPECT_NEAR(head.qk.largest, ranks[h] > 0 ? 1 : 0, 1e-5);
    EXPECT_NEAR(head.vo.largest, ranks[h] > 0 ? 2 : 0, 1e-5);
  }
  // Layer 1 is random, hence full: 4 heads of 12.
  EXPECT_DOUBLE_EQ(measured.ter_qk, (12 + 5 + 1 + 0 + 4 * 12) / 2.0);
}

TEST(MeasuredRank, TheToleranceDecidesWhatCounts) {
  const ModelConfig config = small_model("mha");
  const Weights weights;
  const MeasuredRank strict = measure_rank(config, weights.reader(), 0.5), all = measure_rank(config, weights.reader());
  EXPECT_EQ(strict.tolerance, 0.5);
  for (size_t i = 0; i < all.heads.size(); ++i) {
    EXPECT_EQ(all.heads[i].qk.rank, 12);
    EXPECT_LT(strict.heads[i].qk.rank, 12);
    EXPECT_GE(strict.heads[i].qk.rank, 1);
  }
}

// The twin: W_c and U_c as width × width matrices, by the definitions of docs/theory.md.
struct Circuit {
  Plain qk, vo;
};
Circuit naive(const ModelConfig& config, const Weights& weights, int64_t layer, int64_t head) {
  const AttentionSpec& a = config.layers[static_cast<size_t>(layer)].attention;
  const std::vector<ParameterSpec> table = parameter_table(config);
  const auto find = [&](const std::string& name) -> Plain {
    for (const int64_t i : {layer, config.cache_layer(layer)})
      for (const ParameterSpec& spec : table)
        if (spec.name == "model.layers." + std::to_string(i) + ".self_attn." + name) return weights.get(spec);
    return Plain(0, 0);
  };
  const auto scaled = [&](Plain m, const Plain& norm) {  // columns by a norm's weight
    for (int64_t i = 0; i < m.rows && norm.cols > 0; ++i)
      for (int64_t j = 0; j < m.cols; ++j) m.at(i, j) *= norm.at(0, j);
    return m;
  };
  const auto scaled_rows = [&](const Plain& m, const Plain& norm) { return scaled(m.transposed(), norm).transposed(); };
  const bool latent = a.key_source == KeySource::latent;
  Plain q = find(a.q_rank > 0 ? (latent ? "q_b_proj.weight" : "wq.weight") : "q_proj.weight")
                .part(head * a.key_dim(), a.key_dim());
  if (a.q_rank > 0)
    q = scaled(q, find(latent ? "q_a_layernorm.weight" : "inter_norm.weight")) *
        find(latent ? "q_a_proj.weight" : "q_proj.weight");
  if (a.qk_norm) q = scaled_rows(q, find("q_norm.weight"));
  const int64_t kv_head = head / (a.n_heads / a.kv_heads);
  Plain k(0, 0), v(0, 0);
  if (latent) {
    const Plain down = find("kv_a_proj_with_mqa.weight");
    const Plain up = scaled(find("kv_b_proj.weight"), find("kv_a_layernorm.weight"))
                         .part(head * (a.head_dim + a.value_dim), a.head_dim + a.value_dim) *
                     down.part(0, a.kv_rank);
    k = Plain(a.key_dim(), config.width);
    for (int64_t i = 0; i < a.key_dim(); ++i)
      for (int64_t j = 0; j < config.width; ++j)
        k.at(i, j) = i < a.head_dim ? up.at(i, j) : down.at(a.kv_rank + i - a.head_dim, j);
    v = up.part(a.head_dim, a.value_dim);
  } else if (a.key_source == KeySource::input) {
    k = Plain(config.width, config.width);
    for (int64_t i = 0; i < config.width; ++i) k.at(i, i) = 1;
  } else {
    k = find("k_proj.weight").part(kv_head * a.head_dim, a.head_dim);
  }
  if (a.qk_norm) k = scaled_rows(k, find("k_norm.weight"));
  if (a.value_source == ValueSource::projection) v = find("v_proj.weight").part(kv_head * a.value_dim, a.value_dim);
  if (a.value_source == ValueSource::key) {
    v = k;
    if (a.reuse != KeyReuse::identity) {
      Plain mixed = find("value_mix.weight") * k;
      if (a.reuse == KeyReuse::gated) mixed = scaled_rows(mixed, find("value_gate"));
      for (size_t i = 0; i < v.x.size(); ++i) v.x[i] = mixed.x[i] + (a.reuse == KeyReuse::map ? 0 : v.x[i]);
    }
  }
  const Plain o = find("o_proj.weight").transposed().part(head * a.value_dim, a.value_dim);
  return {q.transposed() * k, v.transposed() * o};
}

double squares_of(const Plain& m) { return std::inner_product(m.x.begin(), m.x.end(), m.x.begin(), 0.0); }

// By power iteration on MᵀM, long enough for gaps of a part in a thousand.
double largest_of(const Plain& m) {
  const Plain t = m.transposed();
  Plain x = random_plain(m.cols, 1, 3);
  double norm = 0;
  for (int i = 0; i < 3000; ++i) {
    x = t * (m * x);
    norm = std::sqrt(squares_of(x));
    for (double& value : x.x) value /= norm;
  }
  return std::sqrt(norm);
}

void expect_equal(const CircuitRank& measured, const Plain& w, const std::string& where) {
  const double largest = largest_of(w);
  // Weights are read as f32 (ε 6e-8 an entry, some hundreds of them a singular value) and summed in double.
  EXPECT_NEAR(measured.largest, largest, 1e-5 * largest) << where;
  EXPECT_NEAR(measured.stable_rank, squares_of(w) / (largest * largest), 2e-5 * measured.stable_rank) << where;
  EXPECT_EQ(measured.rank, measured.bound) << where;  // random factors are of full rank
}

void check_against_twin(const ModelConfig& config) {
  const Weights weights;
  const MeasuredRank measured = measure_rank(config, weights.reader());
  size_t expected = 0;
  for (const LayerSpec& layer : config.layers) expected += static_cast<size_t>(layer.attention.n_heads);
  ASSERT_EQ(measured.heads.size(), expected);
  for (const HeadRank& head : measured.heads) {
    const Circuit twin = naive(config, weights, head.layer, head.head);
    const std::string where =
        fmt::format("{} layer {} head {}", config.layers[0].attention.preset, head.layer, head.head);
    expect_equal(head.qk, twin.qk, where + " W_c");
    expect_equal(head.vo, twin.vo, where + " U_c");
  }
}

TEST(MeasuredRank, EqualsThatOfWholeMatrices) {
  for (const char* preset : {"mha", "mqa", "gqa", "mla", "mfa", "mfa-kr"}) check_against_twin(small_model(preset));
  check_against_twin(small_model("mha", [](PresetOptions& o) { o.qk_norm = true; }));
  check_against_twin(small_model("mfa", [](PresetOptions& o) { o.q_norm = true; }));
  check_against_twin(small_model("mfa", [](PresetOptions& o) { o.q_rank = 5; }));
  check_against_twin(small_model("gqa", [](PresetOptions& o) { o.share_cache = 2; }));
  for (const KeyReuse reuse : {KeyReuse::identity, KeyReuse::map, KeyReuse::residual})
    check_against_twin(small_model("mfa-kr", [&](PresetOptions& o) { o.reuse = reuse; }));
  check_against_twin(small_model("fpba", [](PresetOptions& o) { o.layers = 1, o.heads = 2; }));
}

TEST(MeasuredRank, RefusesWeightsThatAreNotNumbers) {
  const ModelConfig config = small_model("mha");
  Weights weights;
  Plain q = random_plain(48, 48, 1);
  q.at(3, 4) = std::nan("");
  weights.set(std::string(kPrefix) + "q_proj.weight", q);
  EXPECT_THROW(measure_rank(config, weights.reader()), BadInput);
}

}  // namespace
}  // namespace mfa
