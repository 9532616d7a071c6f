#include "runtime/generate.h"

#include <algorithm>

#include "base/error.h"
#include "base/progress.h"

namespace mfa {

GenerateResult generate(Engine& engine, KvCache& cache, std::span<const int32_t> prompt, Sampler& sampler,
                        const GenerateOptions& options) {
  if (prompt.empty()) bad_input("[generate] the prompt is empty, expected at least one token");
  const int64_t most = engine.positions();
  if (static_cast<int64_t>(prompt.size()) + options.new_tokens > most + 1)
    bad_input("[generate] the context is too short, got {} prompt tokens and {} new ones, expected at most {} in all",
              prompt.size(), options.new_tokens, most);
  GenerateResult result;
  result.prompt_tokens = static_cast<int64_t>(prompt.size());
  Sequence sequence(cache);
  StepItem item{&sequence, prompt, options.keep_prompt_logits ? Wanted::all_logits : Wanted::last_logits, {}, {}};
  double began = now_seconds();
  engine.step(cache, {&item, 1});
  result.prefill_tokens_per_s = static_cast<double>(prompt.size()) / (now_seconds() - began);
  const auto vocab = static_cast<size_t>(engine.config().vocab);
  std::vector<float> logits(item.result.end() - static_cast<std::ptrdiff_t>(vocab), item.result.end());
  if (options.keep_prompt_logits) result.prompt_logits = std::move(item.result);

  began = now_seconds();
  int64_t steps = 0;
  while (static_cast<int64_t>(result.ids.size()) < options.new_tokens) {
    const size_t choices = options.vocab > 0 ? std::min(vocab, static_cast<size_t>(options.vocab)) : vocab;
    const int32_t id = sampler.sample(std::span(logits).first(choices));
    result.ids.push_back(id);
    if ((options.on_token && !options.on_token(id)) || id == options.eos) break;
    if (static_cast<int64_t>(result.ids.size()) == options.new_tokens) break;
    StepItem next{&sequence, {&id, 1}, Wanted::last_logits, {}, {}};
    engine.step(cache, {&next, 1});
    logits.swap(next.result);
    ++steps;
  }
  if (steps > 0) result.decode_tokens_per_s = static_cast<double>(steps) / (now_seconds() - began);
  return result;
}

}  // namespace mfa
