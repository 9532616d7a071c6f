// Flags of commands that choose tokens: generate, chat.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "formats/tokenizer.h"
#include "runtime/sampler.h"
#include "runtime/stop_strings.h"

namespace mfa {

struct SamplingFlags {
  SamplerOptions sampler;  // its values before add_to() are the command's defaults
  std::vector<std::string> stops;
  bool ignore_eos = false;

  void add_to(CLI::App& app);
  // The sampler as asked for; --logit-bias needs the vocabulary. BadInput for what does not name one token.
  Sampler make_sampler(const Tokenizer& tokenizer) const;

 private:
  std::vector<std::string> biases_;
};

// "ID:VALUE" or "TEXT:VALUE", where TEXT is one token and VALUE a number or -inf; digits in quotes are text.
LogitBias parse_logit_bias(const std::string& word, const Tokenizer& tokenizer);

}  // namespace mfa
