// The members "decoder" and "post_processor" of tokenizer.json.
#include "base/error.h"
#include "formats/tokenizer_json.h"

namespace mfa {
namespace {

// Decoders work on a list of pieces, one after the other; what we take is what can be done piece by piece, plus spaces
// off the start of the whole.
class Decoder {
 public:
  Decoder(DecoderDescription& out, std::string_view where) : out_(out), where_(where) {}

  void add(const Json& json) {
    const std::string type = type_of(json, "decoder", where_);
    if (type == "Sequence") {
      for (const Json& step : get_array(json, "decoders", where_)) add(step);
    } else if (type == "ByteLevel") {
      if (out_.byte_level || out_.byte_fallback || !out_.replacements.empty() || fused_) refuse(type);
      out_.byte_level = true;
    } else if (type == "Replace" && !out_.byte_level && !out_.byte_fallback && !fused_) {
      add_replace(json);
    } else if (type == "ByteFallback" && !out_.byte_level && !fused_) {
      out_.byte_fallback = true;
    } else if (type == "Fuse") {
      fused_ = true;
    } else if (type == "Strip" && fused_ && out_.strip == 0) {
      add_strip(json);
    } else if (type == "Metaspace" && !out_.byte_level && !fused_) {
      add_metaspace(json);
    } else {
      refuse(type);
    }
  }

 private:
  [[noreturn]] void refuse(std::string_view type) const {
    bad_input("[{}] decoder {} is not supported here", where_, type);
  }

  void add_replace(const Json& json) {
    const auto text = find_string(get_object(json, "pattern", where_), "String", where_);
    if (!text || text->empty()) bad_input("[{}] decoder Replace of a regex is not supported", where_);
    if (out_.replacements.size() == 16) bad_input("[{}] decoder with over 16 Replace", where_);
    out_.replacements.push_back({*text, get_string(json, "content", where_)});
  }

  void add_strip(const Json& json) {
    if (get_string(json, "content", where_) != " " || get_int(json, "stop", where_) != 0) {
      bad_input("[{}] decoder Strip of other than spaces at the start is not supported", where_);
    }
    out_.strip = static_cast<int>(get_int(json, "start", where_, 0, 16));
  }

  // Takes every mark off the front of the first piece; where that is more than the one that was put there, text is
  // lost. One is enough, and gives back what came in.
  void add_metaspace(const Json& json) {
    const bool older = find_bool(json, "add_prefix_space", where_).value_or(true);
    const auto scheme = find_string(json, "prepend_scheme", where_).value_or(older ? "always" : "never");
    const auto mark = find_string(json, "replacement", where_).value_or(std::string(kSpaceMark));
    if (mark.empty()) bad_input("[{}] decoder Metaspace with an empty replacement", where_);
    out_.replacements.push_back({mark, " "});
    out_.strip = scheme == "never" ? 0 : 1;
    fused_ = true;
  }

  DecoderDescription& out_;
  std::string_view where_;
  bool fused_ = false;  // what follows sees the whole text
};

class PostProcessor {
 public:
  PostProcessor(TokenizerDescription& out, std::string_view where) : out_(out), where_(where) {}

  void add(const Json& json) {
    const std::string type = type_of(json, "post_processor", where_);
    if (type == "Sequence") {
      for (const Json& step : get_array(json, "processors", where_)) add(step);
    } else if (type == "TemplateProcessing") {
      if (!out_.prefix.empty() || !out_.suffix.empty()) bad_input("[{}] post_processor with two templates", where_);
      add_template(json);
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      out_.prefix.push_back(id_of(get_array(json, "cls", where_)));
      out_.suffix.push_back(id_of(get_array(json, "sep", where_)));
    } else if (type != "ByteLevel") {  // which moves offsets only
      bad_input("[{}] post_processor {} is not supported", where_, type);
    }
  }

 private:
  void add_template(const Json& json) {
    bool behind = false;
    for (const Json& item : get_array(json, "single", where_)) {
      if (const Json* sequence = find_member(item, "Sequence", where_); sequence != nullptr) {
        if (behind) bad_input("[{}] post_processor that repeats the text is not supported", where_);
        behind = true;
        continue;
      }
      const std::string name = get_string(get_object(item, "SpecialToken", where_), "id", where_);
      const Json& token = get_object(get_object(json, "special_tokens", where_), name, where_);
      for (const Json& id : get_array(token, "ids", where_)) {
        (behind ? out_.suffix : out_.prefix).push_back(as_id(id));
        if (out_.prefix.size() + out_.suffix.size() > 16) bad_input("[{}] post_processor adds over 16 tokens", where_);
      }
    }
    if (!behind) bad_input("[{}] post_processor without the text is not supported", where_);
  }

  int32_t as_id(const Json& id) const {
    return static_cast<int32_t>(as_int(id, "id of post_processor", where_, 0, kMaxTokens - 1));
  }

  int32_t id_of(const Json& pair) const {  // ["</s>", 2]
    if (pair.size() != 2)
      bad_input("[{}] post_processor, got {} values, expected a token and its id", where_, pair.size());
    return as_id(pair[1]);
  }

  TokenizerDescription& out_;
  std::string_view where_;
};

}  // namespace

void read_decoder(const Json& root, TokenizerDescription& out, std::string_view where) {
  const Json* json = find_member(root, "decoder", where);
  if (json == nullptr) bad_input("[{}] decoder none is not supported", where);
  Decoder(out.decoder, where).add(*json);
}

void read_post_processor(const Json& root, TokenizerDescription& out, std::string_view where) {
  const Json* json = find_member(root, "post_processor", where);
  if (json != nullptr) PostProcessor(out, where).add(*json);
}

}  // namespace mfa
