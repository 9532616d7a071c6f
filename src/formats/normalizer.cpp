#include "formats/normalizer.h"

#include <utf8proc.h>

#include <algorithm>

#include "formats/utf8.h"

namespace mfa {
namespace {

// Each `run` writes the changed text and says true, or says false where nothing changes.
bool run(NormalForm form, std::string_view text, std::string& out) {
  bool changed = false;
  std::string stretch;
  for_each_stretch(
      text,
      [&](std::string_view valid) {
        const bool differs = to_normal_form(valid, form, stretch);
        out += differs ? std::string_view(stretch) : valid;
        changed |= differs;
      },
      [&](std::string_view invalid) { out += invalid; });
  return changed;
}

bool run(const PrependStep& step, std::string_view text, std::string& out) {
  if (text.empty()) return false;
  out.reserve(step.content.size() + text.size());
  out.append(step.content).append(text);
  return true;
}

bool run(const ReplaceStep& step, std::string_view text, std::string& out) {
  size_t at = text.find(step.text), done = 0;
  if (at == std::string_view::npos) return false;
  out.reserve(text.size() + text.size() / 2);
  for (; at != std::string_view::npos; at = text.find(step.text, done)) {
    out.append(text.substr(done, at - done)).append(step.content);
    done = at + step.text.size();
  }
  out.append(text.substr(done));
  return true;
}

bool run(const ReplaceRegexStep& step, std::string_view text, std::string& out) {
  bool changed = false;
  for_each_stretch(
      text,
      [&](std::string_view valid) {
        size_t done = 0;
        while (const auto match = step.regex.find(valid, done)) {
          out.append(valid.substr(done, match->begin - done)).append(step.content);
          done = match->end;
          changed = true;
          if (done == valid.size()) break;
        }
        out.append(valid.substr(done));
      },
      [&](std::string_view invalid) { out += invalid; });
  return changed;
}

bool run(LowercaseStep, std::string_view text, std::string& out) {
  const auto lower = [&](std::string_view valid) {
    while (!valid.empty()) {
      const char32_t c = take_character(valid);
      append_utf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))), out);
      if (c == U'\u0130') append_utf8(U'\u0307', out);  // the one character whose lower case is two (SpecialCasing.txt)
    }
  };
  for_each_stretch(text, lower, [&](std::string_view invalid) { out += invalid; });
  return out != text;
}

bool run(const StripStep& step, std::string_view text, std::string& out) {
  size_t first = text.size(), end = 0;  // of what is not white space
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t at = text.size() - rest.size();
    bool space = false;
    if (utf8_length(rest) > 0) {
      space = is_white_space(take_character(rest));
    } else {
      rest.remove_prefix(1);
    }
    if (space) continue;
    first = std::min(first, at);
    end = text.size() - rest.size();
  }
  const size_t from = step.left ? first : 0;
  const size_t to = step.right ? std::max(end, from) : text.size();
  out = text.substr(from, to - from);
  return out.size() != text.size();
}

}  // namespace

std::string_view Normalizer::apply(std::string_view text, std::string& buffer) const {
  for (const NormalizerStep& step : steps_) {
    std::string next;
    if (!std::visit([&](const auto& one) { return run(one, text, next); }, step)) continue;
    buffer = std::move(next);
    text = buffer;
  }
  return text;
}

}  // namespace mfa
