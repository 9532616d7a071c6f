// What the readers of families share. Each fills the layers of a model whose outer sizes are read.
#pragma once

#include "base/error.h"
#include "capacity/foreign_config.h"

namespace mfa::foreign {

constexpr int64_t kMostSize = 1 << 24, kMostLayers = 10000;

inline int64_t size(const Json& json, std::string_view key, std::string_view where) {
  return get_int(json, key, where, 1, kMostSize);
}
inline int64_t size_or(const Json& json, std::string_view key, std::string_view where, int64_t otherwise) {
  return find_int(json, key, where, 0, kMostSize).value_or(otherwise);
}
inline bool flag_or(const Json& json, std::string_view key, std::string_view where, bool otherwise) {
  return find_bool(json, key, where).value_or(otherwise);
}

// Heads, KV heads and head dim under their usual names, RoPE on whole heads; called mha, gqa or mqa.
CostAttention projected_attention(const Json& json, int64_t width, std::string_view where);
std::string_view name_of_attention(const CostAttention& attention);

// MLA of DeepSeek-V2, V3 and Kimi-K2.
CostAttention latent_attention(const Json& json, std::string_view where);

// `layer_types`, one a layer, or empty when the config has none. BadInput names a kind that is not known.
std::vector<std::string> layer_types(const Json& json, int64_t layers, std::string_view where);

// One reader a file or a group of families; `model` has width, vocab, context, tied and norm.
void read_dense(const Json& json, std::string_view type, int64_t layers, std::string_view where, CostModel& model);
void read_gemma(const Json& json, std::string_view type, int64_t layers, std::string_view where, CostModel& model);
void read_experts(const Json& json, std::string_view type, int64_t layers, std::string_view where, CostModel& model);
void read_deepseek(const Json& json, std::string_view type, int64_t layers, std::string_view where, CostModel& model);
void read_step3(const Json& json, std::string_view type, int64_t layers, std::string_view where, CostModel& model);
void read_llama4(const Json& json, std::string_view type, int64_t layers, std::string_view where, CostModel& model);
void read_minimax(const Json& json, std::string_view type, int64_t layers, std::string_view where, CostModel& model);

}  // namespace mfa::foreign
