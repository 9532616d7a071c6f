#define PCRE2_CODE_UNIT_WIDTH 8
#include "formats/regex.h"

#include <pcre2.h>

#include "base/error.h"
#include "base/progress.h"

namespace mfa {
namespace {

constexpr size_t kMaxPattern = 1 << 16;           // bytes; the longest known one has 2 kB
constexpr size_t kJitStack = 32 * 1024;           // bytes at first …
constexpr size_t kMaxJitStack = 8 * 1024 * 1024;  // … and at most, a thread
constexpr uint32_t kMatchLimit = 10'000'000;      // steps of backtracking

// What a match needs beside the code; one a thread, because threads may not share it.
class Scratch {
 public:
  Scratch()
      : data_(pcre2_match_data_create(1, nullptr)),
        context_(pcre2_match_context_create(nullptr)),
        stack_(pcre2_jit_stack_create(kJitStack, kMaxJitStack, nullptr)) {
    pcre2_set_match_limit(context_, kMatchLimit);
    pcre2_jit_stack_assign(context_, nullptr, stack_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    pcre2_jit_stack_free(stack_);
    pcre2_match_context_free(context_);
    pcre2_match_data_free(data_);
  }

  // Pieces were checked to be UTF-8 when the text came in; checking them again would make long texts quadratic.
  int match(const pcre2_code* code, std::string_view text, size_t from) {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int status = pcre2_match(code, subject, text.size(), from, options, data_, context_);
    if (status == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter keeps its frames on the heap
      status = pcre2_match(code, subject, text.size(), from, options | PCRE2_NO_JIT, data_, context_);
    }
    return status;
  }

  Regex::Match found() const {
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data_);
    return {ends[0], ends[1]};
  }

 private:
  pcre2_match_data* data_;
  pcre2_match_context* context_;
  pcre2_jit_stack* stack_;
};

std::string message_of(int status) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(status, text, sizeof(text));
  return reinterpret_cast<const char*>(text);
}

std::shared_ptr<const void> compile(std::string_view written, std::string_view where) {
  const std::string pattern = to_pcre2_syntax(written, where);
  // As in Ruby: ^ and $ match at every line. \C would cut characters apart.
  const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  int status = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options, &status, &at, nullptr);
  if (code == nullptr) bad_input("[{}] regex {}: {}", where, written, message_of(status));
  std::shared_ptr<const void> owner(
      code, [](const void* p) { pcre2_code_free(const_cast<pcre2_code*>(static_cast<const pcre2_code*>(p))); });
  uint32_t may_be_empty = 0;
  pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &may_be_empty);
  if (may_be_empty != 0) bad_input("[{}] regex {}: a match of nothing is not supported", where, written);
  if (pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) != 0) warn_once("tokenizer: PCRE2 has no JIT here; encoding is slow");
  return owner;
}

}  // namespace

Regex::Regex(std::string_view pattern, std::string_view where) : pattern_(pattern) {
  if (pattern.size() > kMaxPattern)
    bad_input("[{}] regex of {} bytes, expected at most {}", where, pattern.size(), kMaxPattern);
  code_ = compile(pattern, where);
}

std::optional<Regex::Match> Regex::find(std::string_view text, size_t from) const {
  thread_local Scratch scratch;
  const int status = scratch.match(static_cast<const pcre2_code*>(code_.get()), text, from);
  if (status == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (status < 0) bad_input("[tokenizer] regex {} on this text: {}", pattern_, message_of(status));
  const Match match = scratch.found();
  if (match.begin < from || match.end <= match.begin) {  // \K and look-behind can do that in PCRE2
    bad_input("[tokenizer] regex {} matched outside the rest of the text", pattern_);
  }
  return match;
}

}  // namespace mfa
