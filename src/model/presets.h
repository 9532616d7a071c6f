// Presets: functions that fill a spec. Each is a row of the paper's table of variants.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "model/model_config.h"

namespace mfa {

// mha, mqa, gqa, mla, mfa, mfa-kr, fpba.
std::span<const std::string_view> preset_names();

// What a person may fix; 0 means "the preset's own choice" (docs/theory.md gives each rule).
struct PresetOptions {
  int64_t width = 256, layers = 4, vocab = 4096, context = 256;
  int64_t heads = 0, kv_heads = 0, head_dim = 0, q_rank = 0, ffn = 0;
  int64_t kv_rank = 0, rope_dim = 0;  // mla
  PositionKind position = PositionKind::rope;
  RopeSpec rope;
  bool q_norm = false;               // Step-3's latent norm, for mfa and mfa-kr
  KeyReuse reuse = KeyReuse::gated;  // mfa-kr
  ReuseAt reuse_at = ReuseAt::before_rope;
  int64_t share_cache = 1;  // every n layers share one cache; 1: none
  int64_t window = 0;
  ModelNorm norm = ModelNorm::rms;
  bool tied = true, qkv_bias = false, o_bias = false, qk_norm = false, ffn_bias = false;
};

// Throws BadInput for an unknown name (listing the known ones) or sizes that cannot be.
ModelConfig make_preset(std::string_view name, const PresetOptions& options);

// Inner width of the SwiGLU where none is given: 8/3 of the model's, in multiples of 64 (of 8 in tiny models).
int64_t default_ffn(int64_t width);

// The same model with heads (mfa, mfa-kr, mla) and then the FFN width adjusted until the parameters are within 1 % of
// `parameters` (the FFN alone for mha, mqa, gqa). fpba is returned unmatched. Unless heads or ffn were fixed by hand.
ModelConfig match_parameters(std::string_view name, const PresetOptions& options, int64_t parameters);

// The shapes guessed from the paper's KV bytes: width 2048, C 256, 20 layers (paper-1b) or 24 (paper-7b).
PresetOptions paper_shape(std::string_view name);

}  // namespace mfa
