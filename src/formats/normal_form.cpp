#include "formats/normal_form.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <memory>
#include <vector>

#include "formats/utf8.h"

namespace mfa {
namespace {

constexpr utf8proc_int32_t kEnd = 0x110000;
constexpr int kLongest = 32;  // a character decomposes into at most 18

bool composes(NormalForm form) { return form == NormalForm::nfc || form == NormalForm::nfkc; }

utf8proc_option_t decomposition(NormalForm form) {
  const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
  return static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
}

int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

void append_decomposed(utf8proc_int32_t c, utf8proc_option_t options, std::vector<utf8proc_int32_t>& out) {
  std::array<utf8proc_int32_t, kLongest> parts;
  int boundary = UTF8PROC_BOUNDCLASS_START;
  const auto n = utf8proc_decompose_char(c, parts.data(), kLongest, options, &boundary);
  out.insert(out.end(), parts.begin(), parts.begin() + std::clamp<utf8proc_ssize_t>(n, 0, kLongest));
}

// Decomposed, marks in canonical order, and composed again where the form says so.
void normalize(std::string_view text, NormalForm form, std::vector<utf8proc_int32_t>& out) {
  out.clear();
  while (!text.empty())
    append_decomposed(static_cast<utf8proc_int32_t>(take_character(text)), decomposition(form), out);
  const auto marked = [](utf8proc_int32_t c) { return combining_class(c) > 0; };
  for (auto begin = out.begin(); (begin = std::find_if(begin, out.end(), marked)) != out.end();) {
    const auto end = std::find_if_not(begin, out.end(), marked);
    std::stable_sort(begin, end, [](utf8proc_int32_t a, utf8proc_int32_t b) {  // utf8proc's own sort is quadratic
      return combining_class(a) < combining_class(b);
    });
    begin = end;
  }
  if (!composes(form)) return;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  const auto n = utf8proc_normalize_utf32(out.data(), static_cast<utf8proc_ssize_t>(out.size()), options);
  out.resize(static_cast<size_t>(std::max<utf8proc_ssize_t>(n, 0)));
}

// Characters that stand for themselves in the form whatever is around them: text of these alone is normalized, and
// what stands before one of them never changes it or what follows.
class Inert {
 public:
  explicit Inert(NormalForm form) : bits_(std::make_unique<std::bitset<kEnd>>()) {
    std::vector<utf8proc_int32_t> parts;
    std::string text;
    for (utf8proc_int32_t c = 0; c < kEnd; ++c) {
      if (c >= 0xd800 && c < 0xe000) continue;
      text.clear();
      append_utf8(static_cast<char32_t>(c), text);
      normalize(text, form, parts);
      const bool itself = parts.size() == 1 && parts[0] == c && combining_class(c) == 0;
      bits_->set(static_cast<size_t>(c), itself);
    }
    if (composes(form)) exclude_seconds();
  }

  bool operator[](char32_t c) const { return (*bits_)[c]; }

 private:
  // A character that may compose with the one before it is the last of some canonical decomposition.
  void exclude_seconds() {
    std::vector<utf8proc_int32_t> parts;
    for (utf8proc_int32_t c = 0; c < kEnd; ++c) {
      parts.clear();
      append_decomposed(c, decomposition(NormalForm::nfd), parts);
      if (parts.size() > 1) bits_->reset(static_cast<size_t>(parts.back()));
    }
  }

  std::unique_ptr<std::bitset<kEnd>> bits_;
};

const Inert& inert_in(NormalForm form) {
  static const Inert nfc(NormalForm::nfc);  // made once, when text first needs it
  switch (form) {
    case NormalForm::nfc:
      return nfc;
    case NormalForm::nfd: {
      static const Inert nfd(NormalForm::nfd);
      return nfd;
    }
    case NormalForm::nfkc: {
      static const Inert nfkc(NormalForm::nfkc);
      return nfkc;
    }
    case NormalForm::nfkd:
      break;
  }
  static const Inert nfkd(NormalForm::nfkd);
  return nfkd;
}

// Bytes of ASCII at the start of `text`: they stand for themselves in every form.
size_t ascii_prefix(std::string_view text) {
  const auto end = std::find_if(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
  return static_cast<size_t>(end - text.begin());
}

}  // namespace

bool to_normal_form(std::string_view text, NormalForm form, std::string& out) {
  size_t last = 0, done = 0;  // where the last inert character began; how much of `text` is in `result`
  std::string result;
  std::vector<utf8proc_int32_t> parts;
  std::string_view rest = text;
  const auto offset = [&] { return text.size() - rest.size(); };
  const size_t ascii = ascii_prefix(text);
  if (ascii == text.size()) return false;
  rest.remove_prefix(ascii > 0 ? ascii - 1 : 0);
  const Inert& inert = inert_in(form);
  while (!rest.empty()) {
    const size_t at = offset();
    if (inert[take_character(rest)]) {
      last = at;
      continue;
    }
    size_t end = offset();  // the stretch that may change: from the inert one before to the inert one behind
    while (!rest.empty()) {
      end = offset();
      std::string_view ahead = rest;
      if (inert[take_character(ahead)]) break;
      rest = ahead;
      end = offset();
    }
    const size_t begin = std::max(last, done);
    normalize(text.substr(begin, end - begin), form, parts);
    result.append(text.substr(done, begin - done));
    for (const utf8proc_int32_t c : parts) append_utf8(static_cast<char32_t>(c), result);
    done = end;
  }
  if (done == 0) return false;
  result.append(text.substr(done));
  if (result == text) return false;
  out = std::move(result);
  return true;
}

}  // namespace mfa
