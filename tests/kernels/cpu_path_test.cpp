// The CPU device's own promises: which path runs, how accurate its exp is, what the machine measurement says.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "base/thread_team.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/machine.h"

namespace mfa {
namespace {

// Sets MFA_CPU_PATH for one test and puts back what was there.
class ForcedPath {
 public:
  explicit ForcedPath(const char* path) {
    if (const char* old = std::getenv("MFA_CPU_PATH")) old_ = old;
    setenv("MFA_CPU_PATH", path, 1);
  }
  ~ForcedPath() { old_.empty() ? unsetenv("MFA_CPU_PATH") : setenv("MFA_CPU_PATH", old_.c_str(), 1); }

 private:
  std::string old_;
};

std::vector<const KernelTable*> runnable_paths() {
  std::vector<const KernelTable*> paths{&plain_kernels()};
  if (cpu_can_run("avx2")) paths.push_back(avx2_kernels());
  if (cpu_can_run("avx512")) paths.push_back(avx512_kernels());
  return paths;
}

TEST(CpuPath, EnvironmentForcesAPathThatTheCpuHas) {
  for (const char* path : {"plain", "avx2", "avx512"}) {
    const ForcedPath forced(path);
    if (cpu_can_run(path)) {
      EXPECT_EQ(make_cpu_device()->info().path, path);
    } else {
      EXPECT_THROW(make_cpu_device(), BadInput) << path;
    }
  }
}

TEST(CpuPath, UnknownNameIsBadInput) {
  const ForcedPath forced("sse9");
  EXPECT_THROW(make_cpu_device(), BadInput);
}

TEST(CpuPath, WithoutEnvironmentTakesTheFastest) {
  const ForcedPath forced("");
  const std::string expected = cpu_can_run("avx512") ? "avx512" : cpu_can_run("avx2") ? "avx2" : "plain";
  const DeviceInfo info = make_cpu_device()->info();
  EXPECT_EQ(info.path, expected);
  EXPECT_EQ(info.native_precision, expected == "avx512" ? Precision::bf16 : Precision::f32);
}

// Truncating the polynomial costs up to 1.2e-7, rounding in its last steps about as much again: 3e-7 together; twice
// that on the plain path, whose fma rounds twice.
TEST(VectorExp, MatchesDoubleOverTheRange) {
  std::vector<float> x;
  for (double v = -87.3; v <= 88.3; v += 0.0137) x.push_back(static_cast<float>(v));
  for (double v = -1e-3; v <= 1e-3; v += 1.7e-5) x.push_back(static_cast<float>(v));
  std::vector<float> y(x.size());
  for (const KernelTable* path : runnable_paths()) {
    path->exp(x.data(), y.data(), static_cast<int64_t>(x.size()));
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(static_cast<double>(x[i]));
      worst = std::max(worst, std::abs(static_cast<double>(y[i]) - exact) / exact);
    }
    EXPECT_LT(worst, path->name == std::string_view("plain") ? 6e-7 : 3e-7) << path->name;
  }
}

// The polynomial is off by 2.9e-6 at most, rounding in its last steps by about 1.2e-7; the plain path's fma rounds
// twice.
TEST(VectorExp, TwoToThePowerToRoundMatchesDoubleOverTheRange) {
  std::vector<float> x;
  for (double v = -126; v < 128; v += 0.0137) x.push_back(static_cast<float>(v));
  for (double v = -1e-3; v <= 1e-3; v += 1.7e-5) x.push_back(static_cast<float>(v));
  for (double v = -1e-30; v >= -1; v *= 7) x.push_back(static_cast<float>(v));  // a rest that rounds to 1
  std::vector<float> y(x.size());
  for (const KernelTable* path : runnable_paths()) {
    path->exp2_to_round(x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_NEAR(y[i] / std::exp2(static_cast<double>(x[i])), 1, 3.2e-6) << path->name << ": 2^" << x[i];
  }
}

TEST(VectorExp, TwoToThePowerToRoundSpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{0, -infinity, std::nanf(""), -160, -1e30f, -3, 7, 0};
  const std::vector<float> expected{1, 0, std::nanf(""), 0, 0, 0.125f, 128, 1};  // the last: a tail lane
  std::vector<float> y(x.size());
  for (const KernelTable* path : runnable_paths()) {
    path->exp2_to_round(x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i)
      EXPECT_TRUE(y[i] == expected[i] || (std::isnan(y[i]) && std::isnan(expected[i])))
          << path->name << ": 2^" << x[i] << " is " << y[i];
  }
}

TEST(VectorExp, SpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{0, -infinity, infinity, std::nanf(""), -88, -1e30f, 1e30f, 100, 0};
  std::vector<float> y(x.size());
  for (const KernelTable* path : runnable_paths()) {
    path->exp(x.data(), y.data(), static_cast<int64_t>(x.size()));
    EXPECT_EQ(y[0], 1.0f) << path->name;
    EXPECT_EQ(y[1], 0.0f) << path->name;
    EXPECT_EQ(y[2], infinity) << path->name;
    EXPECT_TRUE(std::isnan(y[3])) << path->name;
    EXPECT_EQ(y[4], 0.0f) << path->name;
    EXPECT_EQ(y[5], 0.0f) << path->name;
    EXPECT_EQ(y[6], infinity) << path->name;
    EXPECT_EQ(y[7], infinity) << path->name;
    EXPECT_EQ(y[8], 1.0f) << path->name << ": the tail lanes";
  }
}

TEST(VectorBf16, RoundsAsTheScalarFunctionDoes) {
  Random random(5);
  std::vector<float> x{0.0f,   -0.0f,  1.00390625f, 1.01171875f, std::nanf(""), std::numeric_limits<float>::infinity(),
                       1e-40f, 3.4e38f};  // among them two ties, a denormal, and a number that rounds up to infinity
  while (x.size() < 1003) x.push_back(static_cast<float>(random.normal() * std::exp(20 * random.normal())));
  std::vector<uint16_t> bits(x.size());
  std::vector<float> rounded(x.size()), back(x.size());
  for (const KernelTable* path : runnable_paths()) {
    path->f32_to_bf16(x.data(), bits.data(), static_cast<int64_t>(x.size()));
    path->round_to_bf16(x.data(), rounded.data(), static_cast<int64_t>(x.size()));
    path->bf16_to_f32(bits.data(), back.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const bf16 expected = to_bf16(x[i]);
      ASSERT_EQ(bits[i], expected.bits) << path->name << " " << x[i];
      ASSERT_EQ(std::bit_cast<uint32_t>(back[i]), std::bit_cast<uint32_t>(to_float(expected))) << path->name;
      ASSERT_EQ(std::bit_cast<uint32_t>(rounded[i]), std::bit_cast<uint32_t>(to_float(expected))) << path->name;
    }
  }
}

TEST(Machine, MeasuresLimits) {
  const MachineLimits limits = measure_machine(0.2);
  EXPECT_FALSE(limits.cpu.empty());
  EXPECT_EQ(limits.threads, num_threads());
  EXPECT_EQ(limits.cpu_path, make_cpu_device()->info().path);
  EXPECT_GT(limits.read_gb_per_s, 0.1);
  EXPECT_GT(limits.gemm_f32_gflop_per_s, 0.1);
  EXPECT_EQ(limits.gemm_bf16_gflop_per_s > 0, limits.native_precision == Precision::bf16);
  EXPECT_GT(limits.native_gflop_per_s(), 0);
}

}  // namespace
}  // namespace mfa
