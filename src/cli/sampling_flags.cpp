#include "sampling_flags.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace mfa {
namespace {

template <class Number>
bool parse_whole(std::string_view text, Number& number) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

int32_t token_named(std::string_view name, const Tokenizer& tokenizer) {
  int32_t id = 0;
  if (parse_whole(name, id)) {
    if (id < 0 || id >= tokenizer.vocab_size())
      bad_input("[logit-bias] token, got {}, expected 0 to {}", id, tokenizer.vocab_size() - 1);
    return id;
  }
  if (name.size() >= 2 && name.front() == '"' && name.back() == '"') name = name.substr(1, name.size() - 2);
  const std::vector<int32_t> ids = tokenizer.encode(name, true);
  if (ids.size() != 1)
    bad_input("[logit-bias] {} is not one token of this vocabulary, got {}; expected one (ids: mfa tokenizer encode)",
              name, ids.size());
  return ids.front();
}

}  // namespace

LogitBias parse_logit_bias(const std::string& word, const Tokenizer& tokenizer) {
  const size_t colon = word.rfind(':');
  float value = 0;
  if (colon == std::string::npos || colon == 0 || !parse_whole(std::string_view(word).substr(colon + 1), value) ||
      std::isnan(value))
    bad_input("[logit-bias] got {}, expected ID:VALUE or TEXT:VALUE", word);
  return {token_named(std::string_view(word).substr(0, colon), tokenizer), value};
}

void SamplingFlags::add_to(CLI::App& app) {
  app.add_flag("--greedy", sampler.greedy, "Always the likeliest token; the same as --temperature 0");
  app.add_option("--temperature", sampler.temperature, "Spread of the choice; acts last, behind the filters")
      ->capture_default_str();
  app.add_option("--top-k", sampler.top_k, "Only the k likeliest (0: all)")->capture_default_str();
  app.add_option("--typical-p", sampler.typical_p, "The most typical tokens, up to this probability (1: all)")
      ->capture_default_str();
  app.add_option("--top-p", sampler.top_p, "The smallest set whose probability reaches p (1: all)")
      ->capture_default_str();
  app.add_option("--min-p", sampler.min_p, "At least this share of the likeliest one's probability (0: all)")
      ->capture_default_str();
  app.add_option("--repetition-penalty,--repeat-penalty", sampler.repetition_penalty,
                 "Divides logits of tokens that were seen (1: none)")
      ->capture_default_str();
  app.add_option("--frequency-penalty", sampler.frequency_penalty, "Taken off a logit for each time it was seen")
      ->capture_default_str();
  app.add_option("--presence-penalty", sampler.presence_penalty, "Taken off the logit of each token that was seen")
      ->capture_default_str();
  app.add_option("--penalty-last-n,--repeat-last-n", sampler.penalty_last_n,
                 "Penalties see the last N tokens, prompt included (0: none, -1: all)")
      ->capture_default_str();
  app.add_option("--logit-bias", biases_,
                 "ID:VALUE or TEXT:VALUE, added to that token's logit; -inf bans it. May be given several times")
      ->type_name("TOKEN:VALUE")
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("--seed", sampler.seed, "Of the random choice")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--stop", stops, "Ends the text before this string, which is not printed. May be given several times")
      ->type_name("STRING")
      ->allow_extra_args(false)
      ->take_all();
  app.add_flag("--ignore-eos", ignore_eos, "Go on after an end-of-text token");
}

Sampler SamplingFlags::make_sampler(const Tokenizer& tokenizer) const {
  SamplerOptions options = sampler;
  for (const std::string& word : biases_) options.bias.push_back(parse_logit_bias(word, tokenizer));
  return Sampler(options);
}

}  // namespace mfa
