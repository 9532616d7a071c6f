// Rotary frequencies under every scaling against those that transformers computes
// (tests/fixtures/make_rope_fixtures.py).
#include <gtest/gtest.h>

#include <cmath>

#include "model/fixture.h"
#include "model/position.h"

namespace mfa::test {
namespace {

// Both sides work in double. The one long chain is theta^(−2i/dim): the exponent rounds at 1e-16, which the power
// magnifies by ln theta ≤ 14; a ramp and a division add a few roundings more. 1e-13 leaves a factor of ten.
constexpr double kTolerance = 1e-13;

TEST(RopeGolden, FrequenciesAreThoseOfTransformers) {
  const auto document = read_fixture("rope/frequencies.json");
  ASSERT_GE(document.at("rows").size(), 40u);
  for (const auto& row : document.at("rows")) {
    const RopeSpec rope = rope_from_json(row.at("rope"));
    const RopeFrequencies ours = rope_frequencies(rope, row.at("dim").get<int64_t>());
    const auto expected = row.at("frequencies").get<std::vector<double>>();
    ASSERT_EQ(ours.frequencies.size(), expected.size()) << row.dump();
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(ours.frequencies[i], expected[i], kTolerance * expected[i]) << "pair " << i << " of " << row.dump();
    EXPECT_NEAR(ours.attention_factor, row.at("attention_factor").get<double>(), kTolerance) << row.dump();
  }
}

TEST(RopeGolden, DeepSeekScoreFactorIsThatOfTransformers) {
  const auto document = read_fixture("rope/frequencies.json");
  ASSERT_GE(document.at("rows").size(), 40u);
  for (const auto& row : document.at("rows")) {
    AttentionSpec spec;
    spec.key_source = KeySource::latent;
    spec.head_dim = 12;
    spec.rope_dim = 4;  // key_dim 16: the scale without correction is 1/4
    spec.rope = rope_from_json(row.at("rope"));
    EXPECT_NEAR(softmax_scale(spec), row.at("mla_score_factor").get<double>() / 4, kTolerance) << row.dump();
  }
}

}  // namespace
}  // namespace mfa::test
