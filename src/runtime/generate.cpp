#include "runtime/generate.h"

#include <algorithm>

#include "base/error.h"
#include "base/progress.h"

namespace mfa {
namespace {

// Tokens of a prompt between two looks at `interrupted`: cutting a prompt changes no bit of its results.
constexpr int64_t kPromptBlock = 512;

// Logits behind the prompt's last token, or nothing when interrupted. Counts what was computed.
std::vector<float> prefill(Engine& engine, KvCache& cache, Sequence& sequence, std::span<const int32_t> prompt,
                           const GenerateOptions& options, GenerateResult& result) {
  const auto length = static_cast<int64_t>(prompt.size());
  for (int64_t begin = 0; begin < length; begin += kPromptBlock) {
    if (options.interrupted && options.interrupted()) return {};
    const int64_t count = std::min(kPromptBlock, length - begin);
    const Wanted wanted = options.keep_prompt_logits ? Wanted::all_logits
                          : begin + count == length  ? Wanted::last_logits
                                                     : Wanted::nothing;
    StepItem item{&sequence, prompt.subspan(begin, count), wanted, {}, {}};
    engine.step(cache, {&item, 1});
    result.prompt_tokens += count;
    if (options.keep_prompt_logits)
      result.prompt_logits.insert(result.prompt_logits.end(), item.result.begin(), item.result.end());
    if (begin + count == length) return std::move(item.result);
  }
  return {};
}

// Chooses and computes tokens until something stops it; returns how many were computed.
int64_t decode(Engine& engine, KvCache& cache, Sequence& sequence, std::vector<float> logits, Sampler& sampler,
               const GenerateOptions& options, GenerateResult& result) {
  const size_t choices =
      options.vocab > 0 ? std::min(logits.size(), static_cast<size_t>(options.vocab)) : logits.size();
  for (int64_t steps = 0; steps < options.new_tokens; ++steps) {
    const int32_t id = sampler.sample(std::span(logits).first(choices));
    sampler.accept(id);
    result.ids.push_back(id);
    const bool more = !options.on_token || options.on_token(id);
    if (std::find(options.ends.begin(), options.ends.end(), id) != options.ends.end())
      result.stopped = StopReason::end_of_text;
    else if (!more)
      result.stopped = StopReason::caller;
    else if (steps + 1 == options.new_tokens)
      result.stopped = StopReason::length;
    else if (options.interrupted && options.interrupted())
      result.stopped = StopReason::interrupted;
    else {
      StepItem next{&sequence, {&id, 1}, Wanted::last_logits, {}, {}};
      engine.step(cache, {&next, 1});
      logits.swap(next.result);
      continue;
    }
    return steps;
  }
  return 0;
}

}  // namespace

GenerateResult generate(Engine& engine, KvCache& cache, Sequence& sequence, std::span<const int32_t> prompt,
                        Sampler& sampler, const GenerateOptions& options) {
  if (prompt.empty()) bad_input("[generate] the prompt is empty, expected at least one token");
  const int64_t most = engine.positions();
  const int64_t given = sequence.length() + static_cast<int64_t>(prompt.size());
  // The last new token is never computed: it needs no position.
  if (given + options.new_tokens > most + 1 || given > most)
    bad_input("[generate] the context is too short, got {} tokens and {} new ones, expected at most {} in all", given,
              options.new_tokens, most);
  GenerateResult result;
  double began = now_seconds();
  std::vector<float> logits = prefill(engine, cache, sequence, prompt, options, result);
  result.prefill_seconds = now_seconds() - began;
  if (result.prompt_tokens > 0)
    result.prefill_tokens_per_s = static_cast<double>(result.prompt_tokens) / result.prefill_seconds;
  if (logits.empty()) {
    result.stopped = StopReason::interrupted;
    return result;
  }
  logits.erase(logits.begin(), logits.end() - static_cast<std::ptrdiff_t>(engine.config().vocab));
  sampler.accept(prompt);
  began = now_seconds();
  const int64_t steps = decode(engine, cache, sequence, std::move(logits), sampler, options, result);
  result.decode_seconds = now_seconds() - began;
  if (steps > 0) result.decode_tokens_per_s = static_cast<double>(steps) / result.decode_seconds;
  return result;
}

GenerateResult generate(Engine& engine, KvCache& cache, std::span<const int32_t> prompt, Sampler& sampler,
                        const GenerateOptions& options) {
  Sequence sequence(cache);
  return generate(engine, cache, sequence, prompt, sampler, options);
}

}  // namespace mfa
