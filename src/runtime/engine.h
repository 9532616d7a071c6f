// Inference: packed weights, and the batch step that generate, perplexity and servers all call.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/arena.h"
#include "model/model_config.h"
#include "model/parameter_store.h"
#include "model/rotary.h"
#include "runtime/inference_layer.h"
#include "runtime/kv_cache.h"
#include "runtime/parameter_source.h"

namespace mfa {

struct EngineOptions {
  DType weights = DType::f32;          // how products keep their weights: f32 or bf16
  std::optional<Precision> precision;  // what products multiply in; none: what the device is set to at each step
  int64_t positions = 0;               // the longest sequence; 0: the model's context
  int64_t rows = 256;                  // tokens computed at a time; longer prompts are cut, which changes no bit
};

enum class Wanted { nothing, last_logits, all_logits, losses };

// Some new tokens of one sequence, and what is wanted of them.
struct StepItem {
  Sequence* sequence = nullptr;
  std::span<const int32_t> ids;
  Wanted wanted = Wanted::nothing;
  std::span<const int32_t> targets;  // Wanted::losses: one a token, negative is not scored
  std::vector<float> result;         // logits [1 or n, vocab], or n losses in nats
};

class Engine {
 public:
  // Copies what it needs from `weights` (which may be freed then). MFA-KR's value map is folded into o_proj here, and
  // MLA's expansion is split by head, so that decode works on the cached latent.
  Engine(Device& device, const ModelConfig& config, const ParameterStore& weights, const EngineOptions& options);
  Engine(Device& device, const ModelConfig& config, ParameterSource& source, const EngineOptions& options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Any mix of prompts and single tokens. Appends to the sequences and fills the results; a sequence's results do not
  // depend on what else is in the step, nor on how its tokens were cut into steps.
  void step(KvCache& cache, std::span<StepItem> items);

  const ModelConfig& config() const { return config_; }
  int64_t positions() const { return positions_; }
  size_t weight_bytes() const { return weight_bytes_; }

 private:
  struct Piece {  // a run of rows of the current block that belongs to one item
    StepItem* item;
    int64_t begin, count;    // tokens [begin, begin + count) of the item
    int64_t first_row;       // in the block
    int64_t first_position;  // in the sequence
  };
  void pack(ParameterSource& source, DType storage);
  void plan(Arena& arena);
  void run_block(KvCache& cache, std::span<const Piece> pieces, int64_t rows);
  static int64_t wanted_rows(const Piece& piece);  // its last ones
  void finish(std::span<const Piece> pieces);
  void deliver(const Piece& piece, Tensor logits);  // of the rows wanted, or their losses, to its item

  Device& device_;
  ModelConfig config_;
  int64_t positions_, rows_;
  std::optional<Precision> precision_;
  RotaryTables rotary_;
  PackedVectors vectors_;
  Tensor norm_weight_, norm_bias_;  // of the final norm
  Tensor embedding_;
  DeviceMemory embedding_memory_, memory_;
  std::unique_ptr<PackedWeight> classifier_;
  std::vector<InferenceLayer> layers_;
  InferenceScratch scratch_;
  Tensor ids_, targets_, logits_, losses_;
  // Of the current step; members, so that a step after the first allocates nothing.
  std::vector<Piece> pieces_;
  std::vector<int32_t> block_ids_, block_positions_;
  size_t weight_bytes_ = 0;
};

}  // namespace mfa
