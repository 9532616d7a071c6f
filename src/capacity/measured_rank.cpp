#include "capacity/measured_rank.h"

#include <Eigen/Dense>
#include <algorithm>
#include <map>
#include <string>

#include "base/error.h"

namespace mfa {
namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// x [n, d] with n > d -> R [d, d] of x = Q R, Q with orthonormal columns. Whatever x is multiplied with, singular
// values of the product stay those of R's.
Matrix core(const Matrix& x) {
  if (x.rows() <= x.cols()) return x;
  const Eigen::HouseholderQR<Matrix> qr(x);
  return qr.matrixQR().topRows(x.cols()).triangularView<Eigen::Upper>();
}

// Of a bᵀ, for a [m, d] and b [n, d].
CircuitRank rank_of(const Matrix& a, const Matrix& b, int64_t bound, double tolerance) {
  CircuitRank result;
  result.bound = bound;
  const Matrix product = core(a) * core(b).transpose();
  if (!product.allFinite()) bad_input("[measured rank] attention weights, got infinities or NaN, expected numbers");
  const Vector values = Eigen::BDCSVD<Matrix>(product).singularValues();
  result.largest = values.size() > 0 ? values[0] : 0;
  if (result.largest <= 0) return result;
  result.rank = (values.array() > tolerance * result.largest).count();
  result.stable_rank = values.squaredNorm() / (result.largest * result.largest);
  return result;
}

// The attention parameters of one layer (its cache owner's where it has none of its own), as matrices.
class LayerWeights {
 public:
  LayerWeights(const ModelConfig& config, const std::vector<ParameterSpec>& table, const ParameterReader& read,
               int64_t layer)
      : read_(read) {
    for (const int64_t i : {layer, config.cache_layer(layer)})
      for (const ParameterSpec& spec : table) {
        const std::string prefix = "model.layers." + std::to_string(i) + ".self_attn.";
        if (spec.layer == i && spec.name.starts_with(prefix))
          specs_.try_emplace(spec.name.substr(prefix.size()), &spec);
      }
  }
  Matrix matrix(const std::string& name) const {
    const ParameterSpec& spec = *specs_.at(name + ".weight");
    const std::vector<float> numbers = read_(spec);
    return Eigen::Map<const RowMajor>(numbers.data(), spec.rows, spec.cols).cast<double>();
  }
  // A norm's weight, or α; ones where there is none.
  Vector vector(const std::string& name, int64_t size) const {
    const auto found = specs_.find(name);
    if (found == specs_.end()) return Vector::Ones(size);
    const std::vector<float> numbers = read_(*found->second);
    return Eigen::Map<const Eigen::VectorXf>(numbers.data(), size).cast<double>();
  }

 private:
  const ParameterReader& read_;
  std::map<std::string, const ParameterSpec*> specs_;
};

// The factors of all heads' circuits: W_c = queries(h) keys(h)ᵀ, U_c = values(h) outputs(h)ᵀ, in coordinates in which
// the model's width has been rotated away wherever that saves work.
class Circuits {
 public:
  Circuits(const ModelConfig& config, const AttentionSpec& spec, const LayerWeights& weights)
      : spec_(spec), width_(config.width), output_(weights.matrix("o_proj")) {
    load_queries(weights);
    if (spec.key_source == KeySource::latent)
      load_latent(weights);
    else
      load_keys(weights);
  }

  // [rank or width, key_dim]: a head's query matrix, transposed.
  Matrix queries(int64_t head) const { return query_.middleRows(head * spec_.key_dim(), spec_.key_dim()).transpose(); }
  Matrix keys(int64_t head) const {
    const int64_t d = spec_.head_dim;
    if (spec_.key_source == KeySource::input) return Matrix::Identity(width_, width_);
    if (spec_.key_source == KeySource::projection) return key_.middleRows(head / group() * d, d).transpose();
    Matrix wide(latent_.rows(), d + spec_.rope_dim);
    wide << latent_.leftCols(spec_.kv_rank) * expansion(head).topRows(d).transpose(), latent_.rightCols(spec_.rope_dim);
    return wide;
  }
  Matrix values(int64_t head) const {
    const int64_t v = spec_.value_dim;
    if (spec_.value_source == ValueSource::projection) return value_.middleRows(head / group() * v, v).transpose();
    if (spec_.value_source == ValueSource::latent)
      return latent_.leftCols(spec_.kv_rank) * expansion(head).bottomRows(v).transpose();
    return keys(head) * value_map_.transpose();
  }
  Matrix outputs(int64_t head) const { return output_.middleCols(head * spec_.value_dim, spec_.value_dim); }

  int64_t query_bound() const { return std::min({width_, query_rank_, key_rank(), spec_.key_dim()}); }
  int64_t value_bound() const { return std::min({width_, key_rank(), spec_.value_dim}); }

 private:
  int64_t group() const { return spec_.n_heads / spec_.kv_heads; }
  int64_t key_rank() const { return spec_.key_source == KeySource::latent ? spec_.kv_rank + spec_.rope_dim : width_; }
  Matrix expansion(int64_t head) const {
    return expansion_.middleRows(head * (spec_.head_dim + spec_.value_dim), spec_.head_dim + spec_.value_dim);
  }

  // Q S with S's width rotated away: [heads · key_dim, rank or width].
  void load_queries(const LayerWeights& weights) {
    const bool latent = spec_.key_source == KeySource::latent;
    query_rank_ = spec_.q_rank > 0 ? spec_.q_rank : width_;
    if (spec_.q_rank > 0) {
      const Matrix shared = core(weights.matrix(latent ? "q_a_proj" : "q_proj").transpose());
      const Vector norm = weights.vector(latent ? "q_a_layernorm.weight" : "inter_norm.weight", spec_.q_rank);
      query_ = weights.matrix(latent ? "q_b_proj" : "wq") * norm.asDiagonal() * shared.transpose();
    } else {
      query_ = weights.matrix("q_proj");
    }
    if (spec_.qk_norm) scale_heads(query_, weights.vector("q_norm.weight", spec_.head_dim));
  }
  void load_keys(const LayerWeights& weights) {
    if (spec_.key_source == KeySource::projection) key_ = weights.matrix("k_proj");
    if (spec_.value_source == ValueSource::projection) value_ = weights.matrix("v_proj");
    if (spec_.qk_norm && key_.size() > 0) scale_heads(key_, weights.vector("k_norm.weight", spec_.head_dim));
    if (spec_.value_source == ValueSource::key) load_value_map(weights);
  }
  // v = A k: I, N, I + N or I + diag(α) N.
  void load_value_map(const LayerWeights& weights) {
    const int64_t d = spec_.head_dim;
    value_map_ = Matrix::Identity(d, d);
    if (spec_.reuse == KeyReuse::identity) return;
    const Matrix mix = weights.matrix("value_mix");
    if (spec_.reuse == KeyReuse::map) value_map_ = mix;
    if (spec_.reuse == KeyReuse::residual) value_map_ += mix;
    if (spec_.reuse == KeyReuse::gated) value_map_ += weights.vector("value_gate", d).asDiagonal() * mix;
  }
  void load_latent(const LayerWeights& weights) {
    latent_ = core(weights.matrix("kv_a_proj_with_mqa").transpose());
    const Vector norm = weights.vector("kv_a_layernorm.weight", spec_.kv_rank);
    latent_.leftCols(spec_.kv_rank) *= norm.asDiagonal();
    expansion_ = weights.matrix("kv_b_proj");
  }
  static void scale_heads(Matrix& rows, const Vector& norm) {
    for (int64_t i = 0; i < rows.rows(); ++i) rows.row(i) *= norm[i % norm.size()];
  }

  const AttentionSpec& spec_;
  int64_t width_, query_rank_ = 0;
  Matrix query_, key_, value_, output_, value_map_;
  Matrix latent_;     // MLA: [rank + rope, rank + rope], columns are the latent's numbers and the rotary key's
  Matrix expansion_;  // MLA: [heads · (key + value), rank]
};

}  // namespace

MeasuredRank measure_rank(const ModelConfig& config, const ParameterReader& read, double tolerance) {
  MeasuredRank result;
  // numpy's rule for f32 matrices: ε times the larger dimension.
  result.tolerance = tolerance > 0 ? tolerance : static_cast<double>(config.width) * 0x1p-23;
  const std::vector<ParameterSpec> table = parameter_table(config);
  for (int64_t layer = 0; layer < config.n_layers(); ++layer) {
    const AttentionSpec& spec = config.layers[static_cast<size_t>(layer)].attention;
    const Circuits circuits(config, spec, LayerWeights(config, table, read, layer));
    for (int64_t head = 0; head < spec.n_heads; ++head) {
      HeadRank rank{.layer = layer, .head = head};
      rank.qk = rank_of(circuits.queries(head), circuits.keys(head), circuits.query_bound(), result.tolerance);
      rank.vo = rank_of(circuits.values(head), circuits.outputs(head), circuits.value_bound(), result.tolerance);
      result.ter_qk += static_cast<double>(rank.qk.rank);
      result.ter_vo += static_cast<double>(rank.vo.rank);
      result.heads.push_back(rank);
    }
  }
  result.ter_qk /= static_cast<double>(config.n_layers());
  result.ter_vo /= static_cast<double>(config.n_layers());
  return result;
}

}  // namespace mfa
