// Training as a whole: it learns, it resumes bit for bit, it runs on memory that only operations may read.
#include "train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/progress.h"
#include "kernels/guarded_device.h"
#include "model/presets.h"
#include "train/checkpoint.h"

namespace mfa {
namespace {

class TrainerTest : public testing::Test {
 protected:
  void SetUp() override {
    set_quiet(true);
    folder_ = fs::temp_directory_path() / ("mfa-trainer-" + std::to_string(::getpid()));
    make_folder(folder_);
    std::string text;
    for (int i = 0; i < 600; ++i) text += fmt::format("The {} of day {} was the word of the king.\n", i % 7, i % 13);
    write_file(folder_ / "text.txt", text);
    corpus_ = prepare_corpus({.data = {folder_ / "text.txt"}, .tokenizer = "bytes", .cache = folder_ / "cache"});
    PresetOptions options;
    options.width = 32;
    options.layers = 2;
    options.vocab = corpus_.tokenizer.vocab_size();
    options.context = 32;
    config_ = make_preset("mfa-kr", options);
  }
  void TearDown() override { fs::remove_all(folder_); }

  TrainOptions options(const std::string& name) const {
    TrainOptions o;
    o.out = folder_ / name;
    o.steps = 12;
    o.batch = 2;
    o.accumulate = 2;
    o.context = 32;
    o.schedule.peak = 1e-2;
    o.schedule.warmup = 2;
    o.checkpoint_every = 5;
    o.keep_last = 10;
    o.validate_every = 4;
    o.gemm_peak = 100;
    return o;
  }
  std::string bytes_of_step(const std::string& run, int step) const {
    std::string all;
    for (const char* name : {"model.safetensors", "optimizer.safetensors", "trainer.json", "MANIFEST"})
      all += read_file(folder_ / run / ("step-" + std::to_string(step)) / name);
    return all;
  }

  fs::path folder_;
  Corpus corpus_;
  ModelConfig config_;
};

TEST_F(TrainerTest, TheLossFalls) {
  const std::unique_ptr<Device> device = make_cpu_device();
  const TrainResult result = train(*device, config_, corpus_, options("falls"));
  const double untrained = std::log(static_cast<double>(config_.vocab));
  EXPECT_LT(result.val_loss, untrained - 1.0);
  EXPECT_GT(result.val_bits_per_byte, 0);
  EXPECT_TRUE(fs::exists(folder_ / "falls" / "model.safetensors"));
}

TEST_F(TrainerTest, ResumesBitForBit) {
  const std::unique_ptr<Device> device = make_cpu_device();
  train(*device, config_, corpus_, options("whole"));
  // Forget what came after step 5, as a kill before the next checkpoint would, and go on.
  train(*device, config_, corpus_, options("cut"));
  fs::remove_all(folder_ / "cut" / "step-12");
  fs::remove_all(folder_ / "cut" / "step-10");
  fs::remove(folder_ / "cut" / "config.json");
  const std::vector<int64_t> left = checkpoint_steps(folder_ / "cut");
  ASSERT_FALSE(left.empty());
  ASSERT_LT(left.back(), 12);
  TrainOptions resumed = options("cut");
  resumed.resume = true;
  train(*device, config_, corpus_, resumed);
  EXPECT_EQ(bytes_of_step("cut", 12), bytes_of_step("whole", 12));
}

TEST_F(TrainerTest, ADamagedCheckpointIsNamedAndLeftAlone) {
  const std::unique_ptr<Device> device = make_cpu_device();
  train(*device, config_, corpus_, options("damaged"));
  const fs::path file = folder_ / "damaged" / "step-12" / "optimizer.safetensors";
  std::string bytes = read_file(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(file, bytes);
  fs::remove(folder_ / "damaged" / "config.json");
  TrainOptions resumed = options("damaged");
  resumed.resume = true;
  try {
    train(*device, config_, corpus_, resumed);
    FAIL() << "a flipped bit must be noticed";
  } catch (const BadInput& error) {
    EXPECT_NE(std::string(error.what()).find("optimizer.safetensors"), std::string::npos) << error.what();
  }
  EXPECT_EQ(read_file(file), bytes);
}

TEST_F(TrainerTest, ANumberThatIsNoneStopsBeforeTheWeightsChange) {
  const std::unique_ptr<Device> device = make_cpu_device();
  TrainOptions o = options("nan");
  o.steps = 200;
  o.checkpoint_every = 1;
  o.keep_best = false;
  o.schedule.peak = 1e30;
  o.schedule.warmup = 0;
  EXPECT_THROW(train(*device, config_, corpus_, o), Failure);
}

TEST_F(TrainerTest, RunsOnAGuardedDevice) {
  GuardedDevice guarded(make_cpu_device());
  guarded.set_precision(Precision::f32);
  const std::unique_ptr<Device> plain = make_cpu_device();
  plain->set_precision(Precision::f32);
  train(guarded, config_, corpus_, options("guarded"));
  train(*plain, config_, corpus_, options("plain"));
  EXPECT_EQ(bytes_of_step("guarded", 12), bytes_of_step("plain", 12));
}

}  // namespace
}  // namespace mfa
