// The member "pre_tokenizer" of tokenizer.json. Where it holds ByteLevel, the vocabulary is written in names of bytes.
#include "base/error.h"
#include "formats/tokenizer_json.h"

namespace mfa {
namespace {

constexpr size_t kMaxSteps = 16;

class Reader {
 public:
  Reader(TokenizerDescription& out, std::string_view where) : out_(out), where_(where) {}

  void add(const Json& json) {
    const std::string type = type_of(json, "pre_tokenizer", where_);
    if (type == "Sequence") {
      for (const Json& step : get_array(json, "pretokenizers", where_)) add(step);
    } else if (type == "ByteLevel") {
      add_byte_level(json);
    } else if (type == "Split") {
      add_split(json);
    } else if (type == "Digits") {
      const bool single = find_bool(json, "individual_digits", where_).value_or(false);
      add_regex(single ? R"(\p{N})" : R"(\p{N}+)", SplitBehavior::isolated, false);
    } else if (type == "Punctuation") {
      const auto behavior = find_string(json, "behavior", where_).value_or("Isolated");
      add_regex(R"([!-\/:-@\[-`{-~\p{P}])", behavior_of(behavior, type), false);
    } else if (type == "Metaspace") {
      add_metaspace(json);
    } else {
      bad_input("[{}] pre_tokenizer {} is not supported", where_, type);
    }
  }

  bool byte_level() const { return byte_level_; }

 private:
  template <class Step>
  void add_step(Step step) {
    if (out_.pre_tokenizer.size() == kMaxSteps) bad_input("[{}] pre_tokenizer with over {} steps", where_, kMaxSteps);
    out_.pre_tokenizer.emplace_back(std::move(step));
  }

  void add_regex(std::string_view pattern, SplitBehavior behavior, bool invert) {
    add_step(SplitStep{Regex(pattern, where_), behavior, invert, byte_level_});
  }

  void add_byte_level(const Json& json) {
    if (byte_level_) bad_input("[{}] pre_tokenizer ByteLevel twice is not supported", where_);
    if (get_bool(json, "add_prefix_space", where_)) add_step(PrefixSpaceStep{});
    if (find_bool(json, "use_regex", where_).value_or(true)) add_regex(kGpt2Pattern, SplitBehavior::isolated, false);
    byte_level_ = true;
  }

  SplitBehavior behavior_of(const std::string& name, std::string_view type) const {
    if (name == "Isolated") return SplitBehavior::isolated;
    if (name == "Removed") return SplitBehavior::removed;
    if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
    if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
    if (name == "Contiguous") return SplitBehavior::contiguous;
    bad_input("[{}] pre_tokenizer {} with behavior {} is not supported", where_, type, name);
  }

  void add_split(const Json& json) {
    const SplitBehavior behavior = behavior_of(get_string(json, "behavior", where_), "Split");
    const bool invert = find_bool(json, "invert", where_).value_or(false);
    const Json& pattern = get_object(json, "pattern", where_);
    const auto text = find_string(pattern, "String", where_);
    add_regex(text ? quote_regex(*text) : get_string(pattern, "Regex", where_), behavior, invert);
  }

  // Older files say add_prefix_space, which is always or never.
  void add_metaspace(const Json& json) {
    if (byte_level_) bad_input("[{}] pre_tokenizer Metaspace after ByteLevel is not supported", where_);
    const bool older = find_bool(json, "add_prefix_space", where_).value_or(true);
    const auto scheme = find_string(json, "prepend_scheme", where_).value_or(older ? "always" : "never");
    MetaspaceStep step{find_string(json, "replacement", where_).value_or(std::string(kSpaceMark)),
                       MetaspaceStep::Prepend::always, find_bool(json, "split", where_).value_or(true)};
    if (step.mark.empty()) bad_input("[{}] pre_tokenizer Metaspace with an empty replacement", where_);
    if (scheme == "first") {
      step.prepend = MetaspaceStep::Prepend::first;
    } else if (scheme == "never") {
      step.prepend = MetaspaceStep::Prepend::never;
    } else if (scheme != "always") {
      bad_input("[{}] pre_tokenizer Metaspace with prepend_scheme {} is not supported", where_, scheme);
    }
    add_step(std::move(step));
  }

  TokenizerDescription& out_;
  std::string_view where_;
  bool byte_level_ = false;
};

}  // namespace

void read_pre_tokenizer(const Json& root, TokenizerDescription& out, std::string_view where) {
  const Json* json = find_member(root, "pre_tokenizer", where);
  Reader reader(out, where);
  if (json != nullptr) reader.add(*json);
  out.byte_level = reader.byte_level();
}

}  // namespace mfa
