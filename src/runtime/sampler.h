// Choosing the next token from logits.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/random.h"

namespace mfa {

// Added to the logit of one token; −infinity bans it.
struct LogitBias {
  int32_t id = 0;
  float value = 0;
};

// Filters in the order in which they act, which is llama.cpp's default order; the neutral value of each switches it
// off.
struct SamplerOptions {
  bool greedy = false;            // the largest logit, after bias and penalties; ties go to the lowest id
  std::vector<LogitBias> bias;    // 1. first of all
  int64_t penalty_last_n = 64;    // 2. penalties see so many of the last accepted tokens; −1: all, 0: none
  double repetition_penalty = 1;  //    > 0: logits of tokens seen are divided by it (multiplied where negative),
  double frequency_penalty = 0;   //    then this is taken off for each time it was seen,
  double presence_penalty = 0;    //    and this once
  int64_t top_k = 0;              // 3. the k likeliest; 0: all
  double typical_p = 1;           // 4. the most typical tokens (−log p nearest the entropy) until they exceed p
  double top_p = 1;               // 5. the smallest set of likeliest tokens whose probability reaches p
  double min_p = 0;               // 6. tokens of at least this share of the likeliest one's probability
  double temperature = 1;         // 7. last: logits are divided by it; 0: greedy
  uint64_t seed = 0;
};

struct TokenProbability {
  int32_t id = 0;
  double probability = 0;
};

// Costs O(vocabulary) a token, with top-k little more than one look at each logit; only what the filters keep is
// sorted. Equal logits are ordered by id, so that a seed gives the same tokens on every machine that computes the same
// logits.
class Sampler {
 public:
  // Throws BadInput when an option is out of range.
  explicit Sampler(const SamplerOptions& options);

  // Failure when a logit is not a number or no token is left; BadInput when a bias names an id outside the logits.
  int32_t sample(std::span<const float> logits);
  // What sample() draws from, in the order of the draw: what the filters leave, probabilities that sum to one.
  std::vector<TokenProbability> distribution(std::span<const float> logits);

  // Tokens that the penalties remember: the prompt and what was chosen.
  void accept(std::span<const int32_t> ids);
  void accept(int32_t id) { accept({&id, 1}); }
  void forget();  // as if nothing had been accepted; the random stream goes on

 private:
  struct Candidate {
    int32_t id;
    float logit;
    double weight;
  };
  std::span<const float> adjusted(std::span<const float> logits);
  void collect(std::span<const float> logits);
  void typical();
  void top_p();
  void min_p();
  double weigh(double temperature);
  bool greedy() const { return options_.greedy || options_.temperature == 0; }

  SamplerOptions options_;
  Random random_;
  std::vector<float> adjusted_;
  std::vector<Candidate> candidates_;
  float largest_ = 0;  // logit of the candidates, as weigh() saw them
  std::deque<int32_t> window_;
  std::unordered_map<int32_t, int64_t> seen_;  // how often each token stands in the window
};

}  // namespace mfa
