#include "model/end_tokens.h"

#include <array>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"
#include "model/model_folder.h"

namespace mfa {
namespace {

// Names that end a turn or a text in published vocabularies (Llama 3, ChatML, Gemma, Phi, GPT-2, DeepSeek, Mistral).
constexpr std::array<std::string_view, 12> kEndNames = {"<|im_end|>",
                                                        "<|eot_id|>",
                                                        "<|eom_id|>",
                                                        "<end_of_turn>",
                                                        "<|end|>",
                                                        "<|endoftext|>",
                                                        "<|end_of_text|>",
                                                        "<|end_of_turn|>",
                                                        "<|eot|>",
                                                        "<|return|>",
                                                        "<|END_OF_TURN_TOKEN|>",
                                                        "<｜end▁of▁sentence｜>"};

void add_ids(const Json& value, const std::string& where, std::set<int64_t>& ids) {
  if (value.is_null()) return;
  if (value.is_number_integer()) {
    ids.insert(value.get<int64_t>());
  } else if (value.is_array()) {
    for (const Json& one : value) {
      if (!one.is_number_integer()) bad_input("[{}] eos_token_id, got {}, expected token ids", where, one.dump());
      ids.insert(one.get<int64_t>());
    }
  } else {
    bad_input("[{}] eos_token_id, got {}, expected a token id or a list of them", where, value.dump());
  }
}

void add_from_file(const fs::path& file, std::set<int64_t>& ids) {
  if (!path_exists(file)) return;
  const Json json = parse_json(MappedFile(file).text(), file.string());
  if (json.is_object() && json.contains("eos_token_id")) add_ids(json["eos_token_id"], file.string(), ids);
}

}  // namespace

std::vector<int32_t> load_end_tokens(const fs::path& model, const ModelConfig& config, const Tokenizer* tokenizer) {
  std::set<int64_t> ids = {config.eos};
  if (is_folder(model) || model.extension() == ".safetensors")
    for (const char* name : {"generation_config.json", "config.json"}) add_from_file(folder_of(model) / name, ids);
  if (tokenizer != nullptr) {
    ids.insert(tokenizer->eos());
    for (const std::string_view name : kEndNames) {
      // An added token is one id when added tokens are looked for, and several when its name is ordinary text.
      const std::vector<int32_t> special = tokenizer->encode(name, true);
      if (special.size() == 1 && tokenizer->encode(name) != special) ids.insert(special.front());
    }
  }
  std::vector<int32_t> inside;
  for (const int64_t id : ids)
    if (id >= 0 && id < config.vocab) inside.push_back(static_cast<int32_t>(id));
  return inside;
}

}  // namespace mfa
