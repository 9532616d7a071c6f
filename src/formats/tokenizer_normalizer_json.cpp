// The member "normalizer" of tokenizer.json.
#include "base/error.h"
#include "formats/tokenizer_json.h"

namespace mfa {
namespace {

constexpr size_t kMaxSteps = 16;

class Reader {
 public:
  Reader(std::vector<NormalizerStep>& out, std::string_view where) : out_(out), where_(where) {}

  void add(const Json& json) {
    const std::string type = type_of(json, "normalizer", where_);
    if (out_.size() == kMaxSteps) bad_input("[{}] normalizer with over {} steps", where_, kMaxSteps);
    if (type == "Sequence") {
      for (const Json& step : get_array(json, "normalizers", where_)) add(step);
    } else if (type == "Prepend") {
      out_.emplace_back(PrependStep{get_string(json, "prepend", where_)});
    } else if (type == "Replace") {
      add_replace(json);
    } else if (type == "Strip") {
      out_.emplace_back(StripStep{get_bool(json, "strip_left", where_), get_bool(json, "strip_right", where_)});
    } else if (type == "Lowercase") {
      out_.emplace_back(LowercaseStep{});
    } else {
      add_form(type);
    }
  }

 private:
  void add_replace(const Json& json) {
    const Json& pattern = get_object(json, "pattern", where_);
    const std::string content = get_string(json, "content", where_);
    const auto text = find_string(pattern, "String", where_);
    if (!text)
      return void(out_.emplace_back(ReplaceRegexStep{{get_string(pattern, "Regex", where_), where_}, content}));
    if (text->empty()) bad_input("[{}] normalizer Replace of the empty text is not supported", where_);
    out_.emplace_back(ReplaceStep{*text, content});
  }

  void add_form(const std::string& type) {
    if (type == "NFC") return void(out_.emplace_back(NormalForm::nfc));
    if (type == "NFD") return void(out_.emplace_back(NormalForm::nfd));
    if (type == "NFKC") return void(out_.emplace_back(NormalForm::nfkc));
    if (type == "NFKD") return void(out_.emplace_back(NormalForm::nfkd));
    bad_input("[{}] normalizer {} is not supported", where_, type);
  }

  std::vector<NormalizerStep>& out_;
  std::string_view where_;
};

}  // namespace

void read_normalizer(const Json& root, TokenizerDescription& out, std::string_view where) {
  const Json* json = find_member(root, "normalizer", where);
  if (json != nullptr) Reader(out.normalizer, where).add(*json);
}

}  // namespace mfa
