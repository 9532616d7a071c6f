#include "model/transformer.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "model/position.h"

namespace mfa {
namespace {

NormKind kind_of(ModelNorm norm) { return norm == ModelNorm::rms ? NormKind::rms : NormKind::layer; }

// Rows of logits that exist at a time: at most 32 MiB of them, yet enough rows to keep the products tall.
int64_t logit_rows(int64_t rows, int64_t vocab) {
  return std::min(rows, std::clamp<int64_t>((8 << 20) / vocab, 128, 1024));
}

bool has_readers(const ModelConfig& config, int64_t layer) {
  return std::any_of(config.layers.begin(), config.layers.end(),
                     [&](const LayerSpec& l) { return l.cache_owner == layer; });
}

}  // namespace

Transformer::Transformer(ParameterStore& weights, ParameterStore* gradients, const ModelConfig& config,
                         int64_t sequences, int64_t context, Lora* lora)
    : weights_(weights),
      config_(config),
      context_{.device = weights.device(),
               .config = config_,
               .weights = weights_,
               .gradients = gradients,
               .lora = lora,
               .sequences = sequences,
               .context = context},
      rotary_(weights.device(), context) {
  Device& device = context_.device;
  embedding_ = context_.parameter("model.embed_tokens.weight");
  classifier_ = config_.tied ? embedding_ : context_.parameter("lm_head.weight");
  int64_t heads = 0;
  for (const LayerSpec& layer : config_.layers) heads += layer.attention.n_heads;
  alibi_memory_ = DeviceMemory(device, static_cast<size_t>(heads) * size_of(device.real()));
  std::byte* slopes = alibi_memory_.data();
  for (const LayerSpec& layer : config_.layers) {
    const int64_t n = layer.attention.n_heads;
    context_.alibi.push_back({slopes, device.real(), 1, n, n});
    upload_numbers(device, context_.alibi.back(), alibi_slopes(n));
    slopes += n * static_cast<int64_t>(size_of(device.real()));
  }
  // The same code lays memory out twice: first over nothing, to add up the bytes, then over one allocation.
  Workspace planned;
  plan(planned);
  saved_entries_ = planned.saved.entries();
  const size_t saved_bytes = planned.saved.bytes();
  memory_ = DeviceMemory(device, saved_bytes + planned.scratch.bytes() + 64);
  Workspace workspace{Arena(memory_.data(), saved_bytes), Arena(memory_.data() + saved_bytes, planned.scratch.bytes())};
  plan(workspace);
  upload_positions();
}

void Transformer::plan(Workspace& w) {
  const DType real = context_.device.real(), operand = context_.device.operand();
  const int64_t rows = context_.rows(), width = config_.width;
  blocks_.clear();
  ids_ = w.saved.tensor("ids", DType::i32, 1, rows);
  targets_ = w.saved.tensor("targets", DType::i32, 1, rows);
  context_.positions = w.saved.tensor("positions", DType::i32, 1, rows);
  context_.doc_start = w.saved.tensor("document starts", DType::i32, 1, rows);
  losses_ = w.saved.tensor("losses", real, 1, rows);
  embedded_ = w.saved.tensor("embedded", real, rows, width);
  for (int64_t i = 0; i < config_.n_layers(); ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    const int64_t owner = config_.layers[i].cache_owner;
    const size_t mark = w.scratch.mark();
    Block block;
    block.attention_norm = NormLayer(context_, prefix + "input_layernorm", kind_of(config_.norm), 1, w.saved);
    const bool input_is_key = config_.layers[i].attention.key_source == KeySource::input;
    block.attention_input = w.saved.tensor("attention input", input_is_key ? real : operand, rows, width);
    block.attention = std::make_unique<AttentionLayer>(
        context_, i, owner < 0 ? nullptr : blocks_[owner].attention.get(), has_readers(config_, i), rotary_, w);
    w.scratch.release(mark);
    block.middle = w.saved.tensor("after attention", real, rows, width);
    block.ffn_norm = NormLayer(context_, prefix + "post_attention_layernorm", kind_of(config_.norm), 1, w.saved);
    block.ffn_input = w.saved.tensor("ffn input", operand, rows, width);
    block.ffn = std::make_unique<FfnLayer>(context_, i, w);
    w.scratch.release(mark);
    block.output = w.saved.tensor("after ffn", real, rows, width);
    blocks_.push_back(std::move(block));
  }
  final_norm_ = NormLayer(context_, "model.norm", kind_of(config_.norm), 1, w.saved);
  final_ = w.saved.tensor("final", operand, rows, width);
  if (context_.gradients != nullptr) {
    dh_ = w.saved.tensor("dh", real, rows, width);
    dnormed_ = w.saved.tensor("dnormed", real, rows, width);
  }
  branch_ = context_.gradients != nullptr ? dnormed_ : w.saved.tensor("branch", real, rows, width);
  logits_ = w.scratch.tensor("logits", real, logit_rows(rows, config_.vocab), config_.vocab);
  dlogits_ = logits_;
  if (operand != real && context_.gradients != nullptr)
    dlogits_ = w.scratch.tensor("dlogits", operand, logits_.rows, logits_.cols);
}

void Transformer::upload_positions() {
  std::vector<int32_t> positions(static_cast<size_t>(context_.rows()));
  for (size_t r = 0; r < positions.size(); ++r)
    positions[r] = static_cast<int32_t>(static_cast<int64_t>(r) % context_.context);
  context_.device.upload(context_.positions, positions.data());
}

void Transformer::upload_batch(const TokenBatch& batch) {
  const auto rows = static_cast<size_t>(context_.rows());
  assert(batch.ids.size() == rows);
  context_.device.upload(ids_, batch.ids.data());
  if (batch.targets.size() == rows) context_.device.upload(targets_, batch.targets.data());
  context_.documents = batch.doc_start.size() == rows;
  if (context_.documents) context_.device.upload(context_.doc_start, batch.doc_start.data());
}

void Transformer::forward() {
  Device& device = context_.device;
  device.embedding_forward(ids_, embedding_.value, embedded_);
  // A branch is added to its base by the norm that reads their sum.
  Tensor h = embedded_, base;
  for (Block& block : blocks_) {
    block.attention_norm.forward(h, block.attention_input, base, base ? branch_ : Tensor{});
    block.attention->forward(block.attention_input, branch_);
    block.ffn_norm.forward(block.middle, block.ffn_input, h, branch_);
    block.ffn->forward(block.ffn_input, branch_);
    h = block.output, base = block.middle;
  }
  final_norm_.forward(h, final_, base, branch_);
}

// Classifier, softmax and their gradients, a block of rows at a time: dnormed_ gets the gradient of final_.
double Transformer::score(bool gradients, double gradient_scale) {
  Device& device = context_.device;
  for (int64_t r = 0; r < context_.rows(); r += logits_.rows) {
    const int64_t n = std::min(logits_.rows, context_.rows() - r);
    const Tensor logits = logits_.slice_rows(0, n), dlogits = dlogits_.slice_rows(0, n), x = final_.slice_rows(r, n);
    const Reuse reuse = r == 0 ? Reuse::first : Reuse::again;
    linear_forward(device, x, classifier_.value, {}, logits, false, reuse);
    device.cross_entropy({.logits = logits,
                          .targets = targets_.slice_cols(r, n),
                          .losses = losses_.slice_cols(r, n),
                          .gradient = gradients ? dlogits : Tensor{},
                          .gradient_scale = gradient_scale});
    if (gradients)
      linear_backward(device, x, classifier_.value, dlogits, classifier_.gradient, {}, dnormed_.slice_rows(r, n), false,
                      reuse);
  }
  return device.sum(losses_);
}

void Transformer::backward() {
  for (Block& block : blocks_) block.attention->begin_backward();
  const Tensor last = blocks_.back().output;
  final_norm_.backward(last, dnormed_, dh_, false);
  for (size_t i = blocks_.size(); i-- > 0;) {
    Block& block = blocks_[i];
    block.ffn->backward(dh_, dnormed_);
    block.ffn_norm.backward(block.middle, dnormed_, dh_, true);
    block.attention->backward(dh_, dnormed_);
    block.attention_norm.backward(i == 0 ? embedded_ : blocks_[i - 1].output, dnormed_, dh_, true);
  }
  if (embedding_.gradient) context_.device.embedding_backward(ids_, dh_, embedding_.gradient);
}

double Transformer::loss(const TokenBatch& batch) {
  upload_batch(batch);
  forward();
  return score(false, 0);
}

double Transformer::loss_and_gradients(const TokenBatch& batch, double gradient_scale) {
  assert(context_.gradients != nullptr);
  upload_batch(batch);
  forward();
  const double total = score(true, gradient_scale);
  backward();
  return total;
}

std::vector<double> Transformer::logits(const TokenBatch& batch) {
  upload_batch(batch);
  forward();
  std::vector<double> all;
  for (int64_t r = 0; r < context_.rows(); r += logits_.rows) {
    const int64_t n = std::min(logits_.rows, context_.rows() - r);
    const Tensor logits = logits_.slice_rows(0, n);
    linear_forward(context_.device, final_.slice_rows(r, n), classifier_.value, {}, logits);
    const std::vector<double> block = download_numbers(context_.device, logits);
    all.insert(all.end(), block.begin(), block.end());
  }
  return all;
}

std::vector<double> Transformer::token_losses() const { return download_numbers(context_.device, losses_); }

std::vector<double> Transformer::max_logits() const {
  std::vector<double> values;
  for (const Block& block : blocks_) values.push_back(block.attention->max_logit());
  return values;
}

}  // namespace mfa
