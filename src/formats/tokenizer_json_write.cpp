#include <fmt/format.h>

#include "base/error.h"
#include "formats/tokenizer_json.h"

namespace mfa {
namespace {

using Ordered = nlohmann::ordered_json;

Ordered sequence(std::string_view list, std::vector<Ordered> steps) {
  if (steps.empty()) return nullptr;
  if (steps.size() == 1) return std::move(steps[0]);
  return {{"type", "Sequence"}, {std::string(list), std::move(steps)}};
}

Ordered written(const PrependStep& step) { return {{"type", "Prepend"}, {"prepend", step.content}}; }
Ordered written(const ReplaceStep& step) {
  return {{"type", "Replace"}, {"pattern", {{"String", step.text}}}, {"content", step.content}};
}
Ordered written(const ReplaceRegexStep& step) {
  return {{"type", "Replace"}, {"pattern", {{"Regex", step.regex.pattern()}}}, {"content", step.content}};
}
Ordered written(const LowercaseStep&) { return {{"type", "Lowercase"}}; }
Ordered written(const StripStep& step) {
  return {{"type", "Strip"}, {"strip_left", step.left}, {"strip_right", step.right}};
}
Ordered written(NormalForm form) {
  const char* name = form == NormalForm::nfc    ? "NFC"
                     : form == NormalForm::nfd  ? "NFD"
                     : form == NormalForm::nfkc ? "NFKC"
                                                : "NFKD";
  return {{"type", name}};
}

Ordered byte_level(bool prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

const char* name_of(SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::isolated:
      return "Isolated";
    case SplitBehavior::removed:
      return "Removed";
    case SplitBehavior::merged_with_previous:
      return "MergedWithPrevious";
    case SplitBehavior::merged_with_next:
      return "MergedWithNext";
    case SplitBehavior::contiguous:
      break;
  }
  return "Contiguous";
}

Ordered written(const SplitStep& step) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", step.regex.pattern()}}},
          {"behavior", name_of(step.behavior)},
          {"invert", step.invert}};
}

Ordered written(const MetaspaceStep& step) {
  const char* scheme = step.prepend == MetaspaceStep::Prepend::always  ? "always"
                       : step.prepend == MetaspaceStep::Prepend::first ? "first"
                                                                       : "never";
  return {{"type", "Metaspace"}, {"replacement", step.mark}, {"prepend_scheme", scheme}, {"split", step.split}};
}

bool is_gpt2_split(const PreTokenizerStep& step) {
  const auto* split = std::get_if<SplitStep>(&step);
  return split != nullptr && split->regex.pattern() == kGpt2Pattern && !split->on_byte_names && !split->invert &&
         split->behavior == SplitBehavior::isolated;
}

// ByteLevel stands before the first step that sees names of bytes; it can hold the prefix space and GPT-2's pattern.
Ordered pre_tokenizer(const TokenizerDescription& about) {
  std::vector<Ordered> steps;
  bool wants_byte_level = about.byte_level;
  for (size_t i = 0; i < about.pre_tokenizer.size(); ++i) {
    const PreTokenizerStep& step = about.pre_tokenizer[i];
    const bool last = i + 1 == about.pre_tokenizer.size();
    const auto* split = std::get_if<SplitStep>(&step);
    if (split != nullptr && split->on_byte_names && wants_byte_level) {
      steps.push_back(byte_level(false, false));
      wants_byte_level = false;
    }
    if (last && wants_byte_level && is_gpt2_split(step)) {
      steps.push_back(byte_level(false, true));
      wants_byte_level = false;
    } else if (split != nullptr) {
      steps.push_back(written(*split));
    } else if (const auto* metaspace = std::get_if<MetaspaceStep>(&step)) {
      steps.push_back(written(*metaspace));
    } else if (std::holds_alternative<PrefixSpaceStep>(step)) {
      const bool regex = !last && is_gpt2_split(about.pre_tokenizer[i + 1]);
      steps.push_back(byte_level(true, regex));
      i += regex ? 1 : 0;
      wants_byte_level = false;
    }
  }
  if (wants_byte_level) steps.push_back(byte_level(false, false));
  return sequence("pretokenizers", std::move(steps));
}

Ordered decoder(const DecoderDescription& about) {
  if (about.byte_level) return byte_level(false, true);
  std::vector<Ordered> steps;
  for (const ReplaceStep& step : about.replacements) steps.push_back(written(step));
  if (about.byte_fallback) steps.push_back({{"type", "ByteFallback"}});
  steps.push_back({{"type", "Fuse"}});
  if (about.strip > 0) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", about.strip}, {"stop", 0}});
  return sequence("decoders", std::move(steps));
}

Ordered post_processor(const TokenizerDescription& about) {
  if (about.prefix.empty() && about.suffix.empty()) return nullptr;
  Ordered tokens = Ordered::object();
  const auto special = [&](int32_t id) {
    const std::string name = about.pieces.at(static_cast<size_t>(id)).value_or("");
    tokens[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
    return Ordered{{"SpecialToken", {{"id", name}, {"type_id", 0}}}};
  };
  const auto sequence_of = [](const char* id, int type) {
    return Ordered{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  Ordered single = Ordered::array();
  for (const int32_t id : about.prefix) single.push_back(special(id));
  single.push_back(sequence_of("A", 0));
  for (const int32_t id : about.suffix) single.push_back(special(id));
  Ordered pair = single;
  for (const int32_t id : about.prefix) pair.push_back(special(id));
  pair.push_back(sequence_of("B", 1));
  for (const int32_t id : about.suffix) pair.push_back(special(id));
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
}

Ordered added_tokens(const TokenizerDescription& about) {
  Ordered list = Ordered::array();
  for (const AddedToken& token : about.added) {
    list.push_back({{"id", token.id},
                    {"content", token.content},
                    {"single_word", token.single_word},
                    {"lstrip", token.lstrip},
                    {"rstrip", token.rstrip},
                    {"normalized", token.normalized},
                    {"special", token.special}});
  }
  return list;
}

// Added tokens that no merge makes are told apart from the vocabulary by added_tokens alone.
Ordered vocabulary(const TokenizerDescription& about) {
  Ordered vocab = Ordered::object();
  std::vector<bool> apart(about.pieces.size());
  if (about.byte_level) {
    for (const AddedToken& token : about.added) apart[static_cast<size_t>(token.id)] = true;
    for (const Merge& merge : about.merges) apart[static_cast<size_t>(merge.result)] = false;
  }
  auto& entries = vocab.get_ref<Ordered::object_t&>();  // its operator[] looks through all entries; names are unique
  for (size_t id = 0; id < about.pieces.size(); ++id) {
    if (about.pieces[id] && !apart[id]) entries.emplace_back(*about.pieces[id], id);
  }
  return vocab;
}

// As text, which every version of the library reads, unless a piece holds a space.
Ordered merge_list(const TokenizerDescription& about) {
  Ordered list = Ordered::array();
  const auto piece = [&](int32_t id) -> const std::string& { return *about.pieces[static_cast<size_t>(id)]; };
  bool spaces = false;
  for (const Merge& merge : about.merges) spaces |= piece(merge.result).find(' ') != std::string::npos;
  for (const Merge& merge : about.merges) {
    if (spaces) {
      list.push_back({piece(merge.left), piece(merge.right)});
    } else {
      list.push_back(piece(merge.left) + " " + piece(merge.right));
    }
  }
  return list;
}

}  // namespace

std::string write_tokenizer_json(const TokenizerDescription& about) {
  std::vector<Ordered> normalizers;
  for (const NormalizerStep& step : about.normalizer) {
    normalizers.push_back(std::visit([](const auto& one) { return written(one); }, step));
  }
  Ordered unknown = nullptr;
  if (about.unknown >= 0) unknown = about.pieces[static_cast<size_t>(about.unknown)].value_or("");
  Ordered model = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", unknown},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", about.fuse_unknown},
                   {"byte_fallback", about.byte_fallback},
                   {"ignore_merges", about.ignore_merges}};
  model["vocab"] = vocabulary(about);
  model["merges"] = merge_list(about);
  Ordered root = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  root["added_tokens"] = added_tokens(about);
  root["normalizer"] = sequence("normalizers", std::move(normalizers));
  root["pre_tokenizer"] = pre_tokenizer(about);
  root["post_processor"] = post_processor(about);
  root["decoder"] = decoder(about.decoder);
  root["model"] = std::move(model);
  return root.dump(1) + "\n";
}

}  // namespace mfa
