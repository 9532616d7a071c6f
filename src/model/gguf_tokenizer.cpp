#include "model/gguf_tokenizer.h"

#include "base/error.h"

namespace mfa {
namespace {

void pad(GgufVocabulary& v, int64_t vocab) {
  const auto have = static_cast<int64_t>(v.tokens.size());
  if (have > vocab) bad_input("[export] the tokenizer has {} tokens, the model only {} embeddings", have, vocab);
  for (int64_t id = have; id < vocab; ++id) {
    v.tokens.push_back(fmt::format("[PAD{}]", id));
    if (!v.scores.empty()) v.scores.push_back(-1000);  // never merged to
    v.types.push_back(static_cast<int32_t>(GgufTokenType::unused));
  }
}

}  // namespace

void add_vocabulary(GgufWriter& out, GgufVocabulary v, int64_t vocab) {
  pad(v, vocab);
  out.add_string("tokenizer.ggml.model", v.model);
  if (!v.pre.empty()) out.add_string("tokenizer.ggml.pre", v.pre);
  out.add_strings("tokenizer.ggml.tokens", v.tokens);
  if (!v.scores.empty()) out.add_f32s("tokenizer.ggml.scores", v.scores);
  out.add_i32s("tokenizer.ggml.token_type", v.types);
  if (!v.merges.empty()) out.add_strings("tokenizer.ggml.merges", v.merges);
  const auto id = [&](const char* key, const std::optional<int32_t>& value) {
    if (value) out.add_u32(key, static_cast<uint32_t>(*value));
  };
  id("tokenizer.ggml.bos_token_id", v.bos);
  id("tokenizer.ggml.eos_token_id", v.eos);
  id("tokenizer.ggml.unknown_token_id", v.unknown);
  id("tokenizer.ggml.padding_token_id", v.padding);
  const auto flag = [&](const char* key, const std::optional<bool>& value) {
    if (value) out.add_bool(key, *value);
  };
  flag("tokenizer.ggml.add_bos_token", v.add_bos);
  flag("tokenizer.ggml.add_eos_token", v.add_eos);
  flag("tokenizer.ggml.add_space_prefix", v.add_space_prefix);
}

void add_no_vocabulary(GgufWriter& out) { out.add_string("tokenizer.ggml.model", "no_vocab"); }

void add_chat_template(GgufWriter& out, const std::string& source) {
  out.add_string("tokenizer.chat_template", source);
}

}  // namespace mfa
