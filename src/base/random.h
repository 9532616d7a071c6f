// Random numbers whose state is four words, so that a checkpoint can hold it.
#pragma once

#include <array>
#include <cstdint>

namespace mfa {

// xoshiro256** (Blackman and Vigna), seeded through SplitMix64. The same stream on every machine.
class Random {
 public:
  using State = std::array<uint64_t, 4>;

  // `stream` separates users of one seed: two streams of a seed are unrelated.
  explicit Random(uint64_t seed, uint64_t stream = 0);
  explicit Random(const State& state) : state_(state) {}
  const State& state() const { return state_; }

  uint64_t next();
  double uniform();                // [0, 1)
  double normal();                 // mean 0, variance 1 (Box–Muller; keeps no second value)
  uint64_t below(uint64_t bound);  // [0, bound), without bias

 private:
  State state_;
};

}  // namespace mfa
