// What no model may ask for is refused by name, before anything is allocated.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/model_config.h"
#include "model/presets.h"

namespace mfa {
namespace {

struct Refusal {
  std::string preset;
  std::function<void(ModelConfig&)> change;
  std::string words;  // of the message
};

AttentionSpec& first(ModelConfig& config) { return config.layers[0].attention; }

TEST(Validate, RefusesByName) {
  const std::vector<Refusal> refusals = {
      {"mha", [](ModelConfig& c) { first(c).kv_heads = 3; }, "heads must be a multiple of the KV heads"},
      {"mha", [](ModelConfig& c) { first(c).q_norm = true; }, "needs a query rank"},
      {"mha", [](ModelConfig& c) { first(c).head_dim = first(c).value_dim = 7; }, "RoPE pairs dims"},
      {"mha", [](ModelConfig& c) { first(c).rope.theta = 0; }, "rope_theta"},
      {"mha", [](ModelConfig& c) { c.layers[1].cache_owner = 1; }, "expected a lower layer"},
      {"mla", [](ModelConfig& c) { first(c).kv_heads = 1; }, "MLA expands to one key a head"},
      {"mla", [](ModelConfig& c) { first(c).qk_norm = true; }, "MLA has no q/k norms"},
      {"mfa-kr", [](ModelConfig& c) { first(c).value_dim += 2; }, "a reused key has the value's size"},
      {"mfa-kr",
       [](ModelConfig& c) {
         first(c).reuse_at = ReuseAt::after_rope;
         first(c).rope.scaling = RopeScaling::yarn;
         first(c).rope.original_context = 64;
       },
       "a scaled rotation (YaRN) does not allow"},
      {"fpba", [](ModelConfig& c) { first(c).head_dim /= 2; }, "FPBA's keys are the"},
      {"fpba", [](ModelConfig& c) { first(c).reuse_at = ReuseAt::after_rope; }, "got values after RoPE"},
  };
  PresetOptions shape;
  shape.width = 32, shape.layers = 2, shape.heads = 4;
  for (const Refusal& refusal : refusals) {
    ModelConfig config = make_preset(refusal.preset, shape);
    ASSERT_NO_THROW(validate(config)) << refusal.preset;
    refusal.change(config);
    try {
      validate(config);
      ADD_FAILURE() << refusal.preset << ", expected: " << refusal.words;
    } catch (const BadInput& error) {
      EXPECT_NE(std::string(error.what()).find(refusal.words), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace mfa
