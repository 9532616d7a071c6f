#include "runtime/attention_bench.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cpu/cpu_device.h"

namespace mfa {
namespace {

// One row a shape, in order, each with its own counts: a decode step reads the cache once.
TEST(AttentionBench, ARowForEachShape) {
  const auto device = make_cpu_device();
  const AttentionBenchShape apart{.heads = 4, .head_dim = 64, .context = 1000};
  AttentionBenchShape reuse = apart, prompt = apart, trained = apart;
  reuse.key_reuse = true;
  prompt.phase = BenchPhase::prefill;
  trained.phase = BenchPhase::train;
  const AttentionBenchShape shapes[] = {apart, reuse, prompt, trained};
  std::vector<double> shares;
  const std::vector<AttentionBenchRow> rows =
      bench_attention(*device, shapes, 0.02, [&](double share) { shares.push_back(share); });
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(describe(rows[1].shape), describe(reuse));
  EXPECT_EQ(rows[0].bytes, 1000 * 2 * 64 * 2);
  EXPECT_EQ(rows[1].bytes, rows[0].bytes / 2);
  EXPECT_EQ(rows[0].flops, 4 * 4 * 1000 * 64);
  EXPECT_EQ(rows[1].flops, rows[0].flops);
  EXPECT_EQ(rows[2].flops, 2.0 * 4 * 1000 * 1000 * 64);
  EXPECT_EQ(rows[3].flops, 3.5 * rows[2].flops);
  for (const AttentionBenchRow& row : rows) EXPECT_GT(row.seconds, 0);
  EXPECT_LT(rows[0].seconds, rows[2].seconds);  // one token of a thousand
  EXPECT_EQ(shares.back(), 1);
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
}

TEST(AttentionBench, NoShapes) { EXPECT_TRUE(bench_attention(*make_cpu_device(), {}).empty()); }

}  // namespace
}  // namespace mfa
