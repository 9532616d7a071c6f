// What a tokenizer does to text before it cuts it: Hugging Face's normalizers.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "formats/normal_form.h"
#include "formats/regex.h"

namespace mfa {

struct PrependStep {  // before text that is not empty
  std::string content;
};
struct ReplaceStep {  // every occurrence, from left to right
  std::string text, content;
};
struct ReplaceRegexStep {  // every match
  Regex regex;
  std::string content;
};
struct LowercaseStep {};  // character by character
struct StripStep {        // white space at the ends
  bool left, right;
};
using NormalizerStep = std::variant<NormalForm, PrependStep, ReplaceStep, ReplaceRegexStep, LowercaseStep, StripStep>;

// The steps one after the other. Bytes that are not UTF-8 pass unchanged, and end the text for what stands beside them.
class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(std::vector<NormalizerStep> steps) : steps_(std::move(steps)) {}

  // `text` itself where nothing changes, else a view into `buffer`.
  std::string_view apply(std::string_view text, std::string& buffer) const;
  const std::vector<NormalizerStep>& steps() const { return steps_; }

 private:
  std::vector<NormalizerStep> steps_;
};

}  // namespace mfa
