// Going on from a model: every layout, as a whole and with adapters.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "base/error.h"
#include "base/progress.h"
#include "kernels/guarded_device.h"
#include "model/config_json.h"
#include "model/lora_folder.h"
#include "model/model_folder.h"
#include "model/presets.h"
#include "train/chat_corpus.h"
#include "train/chat_fixtures.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

namespace mfa {
namespace {

struct LayoutCase {
  std::string name, preset;
  std::string_view architecture;
  std::function<void(PresetOptions&)> change;
};

const std::vector<LayoutCase>& layouts() {
  static const std::vector<LayoutCase> cases = {
      {"llama", "gqa", "LlamaForCausalLM", [](PresetOptions& o) { o.heads = 4, o.kv_heads = 2; }},
      {"llama_untied", "mha", "LlamaForCausalLM", [](PresetOptions& o) { o.tied = false; }},
      {"mistral", "mha", "MistralForCausalLM", [](PresetOptions& o) { o.window = 8; }},
      {"qwen2", "mha", "Qwen2ForCausalLM", [](PresetOptions& o) { o.qkv_bias = true; }},
      {"qwen3", "mha", "Qwen3ForCausalLM", [](PresetOptions& o) { o.qk_norm = true; }},
      {"deepseek", "mla", "DeepseekV3ForCausalLM", [](PresetOptions&) {}},
      {"step3", "mfa", "Step3TextForCausalLM", [](PresetOptions& o) { o.q_norm = true, o.tied = false; }},
      {"mfa_cpp", "mfa-kr", "MfaCppForCausalLM", [](PresetOptions&) {}},
  };
  return cases;
}

class FineTuneTest : public testing::TestWithParam<LayoutCase> {
 protected:
  void SetUp() override {
    set_quiet(true);
    folder_ = fs::temp_directory_path() / ("mfa-fine-tune-" + std::to_string(::getpid()));
    make_folder(folder_);
    std::string lines;
    for (int i = 0; i < 60; ++i)
      lines += fmt::format(R"({{"messages": [{{"role": "user", "content": "Day {}?"}}, {{"role": "assistant", )"
                           R"("content": "The king rests."}}]}})"
                           "\n",
                           i);
    write_file(folder_ / "chat.jsonl", lines);
    corpus_ = prepare_chat_corpus(
        {.data = {folder_ / "chat.jsonl"}, .held_out = 0.1, .context = 128, .cache = folder_ / "cache"},
        Tokenizer::plain_bytes(), test::chat_ml());
    device_ = make_cpu_device();
    PresetOptions options;
    options.width = 32;
    options.layers = 2;
    options.vocab = corpus_.tokenizer.vocab_size();
    options.context = 128;
    GetParam().change(options);
    config_ = make_preset(GetParam().preset, options);
    config_.eos = corpus_.tokenizer.eos();  // as published models say; a run that finds none puts the tokenizer's in
    ParameterStore weights(*device_, config_);
    initialise(weights, config_, {});
    save_model(folder_ / "base", config_, weights, corpus_.tokenizer);
    write_file(folder_ / "base" / "chat_template.jinja", "{{ messages }}");
    write_file(folder_ / "base" / "tokenizer_config.json", "{\"published\": true}");
  }
  void TearDown() override { fs::remove_all(folder_); }

  TrainOptions options(const std::string& name) const {
    TrainOptions o;
    o.out = folder_ / name;
    o.init_from = o.companions = folder_ / "base";
    o.steps = 8;
    o.batch = 2;
    o.context = 128;
    o.schedule.peak = 1e-2;
    o.checkpoint_every = 3;
    o.keep_last = 10;
    o.gemm_peak = 100;
    return o;
  }
  TrainResult tune(const TrainOptions& o) { return train(*device_, load_config(folder_ / "base"), corpus_, o); }
  std::string bytes(const fs::path& file) const { return read_file(folder_ / file); }

  fs::path folder_;
  Corpus corpus_;
  std::unique_ptr<Device> device_;
  ModelConfig config_;
};

TEST_P(FineTuneTest, GoesOnFromTheModelInItsOwnLayout) {
  const TrainResult result = tune(options("tuned"));
  EXPECT_LT(result.val_loss, result.val_loss_before - 0.1);
  const ModelConfig tuned = load_config(folder_ / "tuned");
  EXPECT_EQ(spec_to_json(tuned), spec_to_json(load_config(folder_ / "base")));
  EXPECT_EQ(architecture_of(layout_of(tuned)), GetParam().architecture);
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"}) {
    EXPECT_EQ(bytes(fs::path("tuned") / name), bytes(fs::path("base") / name)) << name;
    EXPECT_EQ(bytes(fs::path("tuned") / "step-8" / name), bytes(fs::path("base") / name)) << name;
  }
}

TEST_P(FineTuneTest, WithoutALearningRateNothingChanges) {
  TrainOptions o = options("still");
  o.steps = 2;
  o.schedule.peak = 0;
  const TrainResult result = tune(o);
  EXPECT_EQ(bytes("still/model.safetensors"), bytes("base/model.safetensors"));
  EXPECT_EQ(result.val_loss, result.val_loss_before);
}

TEST_P(FineTuneTest, AdaptersLearnBesideAFrozenModelAndMergeIntoIt) {
  TrainOptions o = options("adapter");
  o.lora = {.rank = 4, .alpha = 8, .targets = {}};
  const TrainResult result = tune(o);
  EXPECT_LT(result.val_loss, result.val_loss_before - 0.1);
  EXPECT_FALSE(path_exists(folder_ / "adapter" / "model.safetensors"));
  // The merged model's held-out loss is the run's own, up to f32 sums in another order.
  ParameterStore merged(*device_, config_);
  load_parameters(*open_weights(folder_ / "base"), config_, merged);
  merge(load_adapter(*device_, config_, folder_ / "adapter", false), merged);
  save_model(folder_ / "merged", config_, merged, corpus_.tokenizer);
  TrainOptions still = options("of-merged");
  still.init_from = still.companions = folder_ / "merged";
  still.steps = 1;
  still.schedule.peak = 0;
  // In bf16 a merged weight is rounded as one, so that the two agree to its 8 bits; in f32 to 1e-5.
  const double tolerance = device_->precision() == Precision::bf16 ? 2e-2 : 1e-5;
  EXPECT_NEAR(tune(still).val_loss, result.val_loss, tolerance * result.val_loss);
}

TEST_P(FineTuneTest, AdaptersResumeBitForBit) {
  TrainOptions o = options("whole");
  o.lora = {.rank = 2, .alpha = 4, .targets = {"o_proj", "down_proj"}};
  tune(o);
  o.out = folder_ / "cut";
  tune(o);
  for (const int64_t step : checkpoint_steps(o.out))
    if (step > 3) fs::remove_all(o.out / ("step-" + std::to_string(step)));
  fs::remove(o.out / "adapter_config.json");
  o.resume = true;
  tune(o);
  for (const char* name : {"adapter_model.safetensors", "optimizer.safetensors", "trainer.json", "MANIFEST"})
    EXPECT_EQ(bytes(fs::path("cut/step-8") / name), bytes(fs::path("whole/step-8") / name)) << name;
  EXPECT_EQ(bytes("cut/adapter_model.safetensors"), bytes("whole/adapter_model.safetensors"));
  // Another rank is another run, and so is another base.
  o.lora.rank = 3;
  EXPECT_THROW(tune(o), BadInput);
  o.lora.rank = 2;
  ParameterStore other(*device_, config_);
  initialise(other, config_, {.kind = InitKind::paper, .gate = GateInit::zero, .mix = MixInit::fan_in, .seed = 9});
  write_parameters(folder_ / "base" / "model.safetensors", other);
  EXPECT_THROW(tune(o), BadInput);
}

INSTANTIATE_TEST_SUITE_P(Layouts, FineTuneTest, testing::ValuesIn(layouts()),
                         [](const testing::TestParamInfo<LayoutCase>& param) { return param.param.name; });

}  // namespace
}  // namespace mfa
