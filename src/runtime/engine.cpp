#include "runtime/engine.h"

#include <algorithm>
#include <cassert>

#include "base/error.h"
#include "kernels/precision.h"

namespace mfa {

Engine::Engine(Device& device, const ModelConfig& config, const ParameterStore& weights, const EngineOptions& options)
    : Engine(device, config, *std::make_unique<WholeStore>(weights), options) {}

Engine::Engine(Device& device, const ModelConfig& config, ParameterSource& source, const EngineOptions& options)
    : device_(device),
      config_(config),
      positions_(options.positions > 0 ? options.positions : config.context),
      rows_(options.rows),
      precision_(options.precision),
      rotary_(device, positions_),
      vectors_(device, source.part([](const ParameterSpec& spec) { return spec.vector; })) {
  norm_weight_ = vectors_["model.norm.weight"];
  norm_bias_ = vectors_.find("model.norm.bias");
  pack(source, options.weights);
  Arena planned;
  plan(planned);
  memory_ = DeviceMemory(device, planned.bytes() + 64);
  Arena arena(memory_.data(), planned.bytes());
  plan(arena);
}

void Engine::pack(ParameterSource& source, DType storage) {
  const std::string embedding = "model.embed_tokens.weight", classifier = "lm_head.weight";
  {
    const ParameterStore& weights = source.part([&](const ParameterSpec& spec) { return spec.name == embedding; });
    const Tensor table = weights[embedding];
    embedding_memory_ = DeviceMemory(device_, static_cast<size_t>(table.size()) * size_of(device_.real()));
    embedding_ = {embedding_memory_.data(), device_.real(), table.rows, table.cols, table.cols};
    device_.convert(embedding_, table);
    if (config_.tied) classifier_ = device_.pack_weight(table, storage);
  }
  if (!config_.tied)
    classifier_ = device_.pack_weight(
        source.part([&](const ParameterSpec& spec) { return spec.name == classifier; })[classifier], storage);
  weight_bytes_ = classifier_->bytes();
  for (int64_t i = 0; i < config_.n_layers(); ++i) {
    const int64_t owner = config_.cache_layer(i);
    const ParameterStore& weights =
        source.part([&](const ParameterSpec& spec) { return spec.layer == i || spec.layer == owner; });
    layers_.emplace_back(device_, config_, i, weights, vectors_, rotary_.get(config_.layers[i].attention), storage);
    weight_bytes_ += layers_.back().weight_bytes();
  }
}

void Engine::plan(Arena& arena) {
  InferenceLayer::Sizes most{};
  for (const InferenceLayer& layer : layers_) {
    const InferenceLayer::Sizes s = layer.sizes();
    for (auto field : {&InferenceLayer::Sizes::down, &InferenceLayer::Sizes::q_latent, &InferenceLayer::Sizes::q,
                       &InferenceLayer::Sizes::q_absorbed, &InferenceLayer::Sizes::k, &InferenceLayer::Sizes::cached,
                       &InferenceLayer::Sizes::out, &InferenceLayer::Sizes::expanded, &InferenceLayer::Sizes::gate_up,
                       &InferenceLayer::Sizes::act, &InferenceLayer::Sizes::statistics})
      most.*field = std::max(most.*field, s.*field);
  }
  const DType real = device_.real();
  const auto rows = [&](const char* name, int64_t cols) { return arena.tensor(name, real, rows_, cols); };
  scratch_.h = rows("h", config_.width);
  scratch_.normed = rows("normed", config_.width);
  scratch_.down = rows("down", most.down);
  scratch_.q_latent = rows("q latent", most.q_latent);
  scratch_.q = rows("q", most.q);
  scratch_.q_absorbed = rows("q absorbed", most.q_absorbed);
  scratch_.k = rows("k", most.k);
  scratch_.cached = rows("cached", most.cached);
  scratch_.out = rows("out", most.out);
  scratch_.expanded = rows("expanded", most.expanded);
  scratch_.gate_up = rows("gate up", most.gate_up);
  scratch_.act = rows("act", most.act);
  scratch_.statistics = rows("statistics", most.statistics);
  scratch_.positions = arena.tensor("positions", DType::i32, 1, rows_);
  ids_ = arena.tensor("ids", DType::i32, 1, rows_);
  targets_ = arena.tensor("targets", DType::i32, 1, rows_);
  losses_ = arena.tensor("losses", real, 1, rows_);
  logits_ = rows("logits", config_.vocab);
}

void Engine::run_block(KvCache& cache, std::span<const Piece> pieces, int64_t rows) {
  block_ids_.clear();
  block_positions_.clear();
  scratch_.rows = rows;
  scratch_.slots.clear();
  scratch_.sequences.clear();
  for (const Piece& piece : pieces) {
    for (int64_t i = 0; i < piece.count; ++i) {
      block_ids_.push_back(piece.item->ids[piece.begin + i]);
      block_positions_.push_back(static_cast<int32_t>(piece.first_position + i));
      scratch_.slots.push_back(piece.item->sequence->slot(piece.first_position + i));
    }
    scratch_.sequences.push_back({piece.item->sequence->pages(), piece.first_row, piece.count, piece.first_position});
  }
  device_.upload(ids_.slice_cols(0, rows), block_ids_.data());
  device_.upload(scratch_.positions.slice_cols(0, rows), block_positions_.data());
  device_.embedding_forward(ids_.slice_cols(0, rows), embedding_, scratch_.h.slice_rows(0, rows));
  for (const InferenceLayer& layer : layers_) layer.forward(scratch_, cache);
  finish(pieces);
}

int64_t Engine::wanted_rows(const Piece& piece) {
  const StepItem& item = *piece.item;
  const bool last = piece.begin + piece.count == static_cast<int64_t>(item.ids.size());
  if (item.wanted == Wanted::nothing) return 0;
  if (item.wanted == Wanted::last_logits) return last ? 1 : 0;
  return piece.count;
}

// Final norm and classifier for the rows that somebody wants, of all pieces at once: each weight is read once.
void Engine::finish(std::span<const Piece> pieces) {
  const bool layer_norm = config_.norm == ModelNorm::layer;
  int64_t rows = 0;
  for (const Piece& piece : pieces) {
    const int64_t n = wanted_rows(piece);
    if (n == 0) continue;
    device_.norm_forward({.kind = layer_norm ? NormKind::layer : NormKind::rms,
                          .x = scratch_.h.slice_rows(piece.first_row + piece.count - n, n),
                          .weight = norm_weight_,
                          .bias = norm_bias_,
                          .y = scratch_.normed.slice_rows(rows, n),
                          .statistics = scratch_.statistics.slice_rows(0, n).slice_cols(0, layer_norm ? 2 : 1),
                          .eps = config_.norm_eps});
    rows += n;
  }
  if (rows == 0) return;
  device_.linear(scratch_.normed.slice_rows(0, rows), *classifier_, logits_.slice_rows(0, rows));
  int64_t row = 0;
  for (const Piece& piece : pieces) {
    const int64_t n = wanted_rows(piece);
    if (n > 0) deliver(piece, logits_.slice_rows(row, n));
    row += n;
  }
}

void Engine::deliver(const Piece& piece, Tensor logits) {
  StepItem& item = *piece.item;
  const int64_t n = logits.rows;
  Tensor wanted = logits;
  if (item.wanted == Wanted::losses) {
    device_.upload(targets_.slice_cols(0, n), item.targets.data() + piece.begin);
    device_.cross_entropy({.logits = logits, .targets = targets_.slice_cols(0, n), .losses = losses_.slice_cols(0, n)});
    wanted = losses_.slice_cols(0, n);
  }
  if (wanted.type == DType::f32) {
    const size_t before = item.result.size();
    item.result.resize(before + static_cast<size_t>(wanted.size()));
    device_.download(item.result.data() + before, wanted);
  } else {
    const std::vector<double> numbers = download_numbers(device_, wanted);
    item.result.insert(item.result.end(), numbers.begin(), numbers.end());
  }
}

void Engine::step(KvCache& cache, std::span<StepItem> items) {
  const PrecisionScope scope(device_, precision_.value_or(device_.precision()));
  pieces_.clear();
  int64_t rows = 0;
  const auto flush = [&] {
    if (rows > 0) run_block(cache, pieces_, rows);
    pieces_.clear();
    rows = 0;
  };
  for (StepItem& item : items) {
    item.result.clear();
    const auto n = static_cast<int64_t>(item.ids.size());
    const int64_t start = item.sequence->length();
    if (start + n > positions_)
      bad_input("[engine] the sequence grows beyond the context, got {} tokens, expected at most {}", start + n,
                positions_);
    for (const int32_t id : item.ids)
      if (id < 0 || id >= config_.vocab)
        bad_input("[engine] token id, got {}, expected 0 to {}", id, config_.vocab - 1);
    item.sequence->extend(n);
    for (int64_t begin = 0; begin < n;) {
      const int64_t count = std::min(n - begin, rows_ - rows);
      pieces_.push_back({&item, begin, count, rows, start + begin});
      rows += count;
      begin += count;
      if (rows == rows_) flush();
    }
  }
  flush();
}

}  // namespace mfa
