#include "base/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <new>

namespace mfa {
namespace {

// Two layers whose scratch shares memory, and a tensor that outlives both.
Tensor carve(Arena& arena) {
  const Tensor kept = arena.tensor("kept", DType::f32, 3, 5);
  for (int layer = 0; layer < 2; ++layer) {
    const size_t mark = arena.mark();
    arena.tensor("scratch", DType::bf16, 7, 33);
    arena.tensor("more", DType::i8, 1, 1);
    arena.release(mark);
  }
  return kept;
}

TEST(Arena, PlanGivesTheBytesThatCarvingTakes) {
  Arena plan;
  EXPECT_TRUE(plan.planning());
  carve(plan);
  // 3 · 5 · 4 = 60 → 64; 7 · 33 · 2 = 462 → 512; 1 → 64. The second layer takes the first one's place.
  EXPECT_EQ(plan.bytes(), 64u + 512u + 64u);

  alignas(64) static std::byte memory[640];
  Arena arena(memory, sizeof memory);
  EXPECT_FALSE(arena.planning());
  const Tensor kept = carve(arena);
  EXPECT_EQ(arena.bytes(), plan.bytes());
  EXPECT_EQ(kept.data, memory);
  EXPECT_EQ(kept.rows, 3);
  EXPECT_EQ(kept.cols, 5);
  EXPECT_EQ(kept.stride, 5);
  EXPECT_EQ(kept.type, DType::f32);
}

TEST(Arena, TensorsBeginOnCacheLinesAndDoNotOverlap) {
  alignas(64) static std::byte memory[4096];
  Arena arena(memory, sizeof memory);
  const std::byte* end = memory;
  for (const int64_t cols : {1, 15, 16, 17, 100}) {
    const Tensor tensor = arena.tensor("t", DType::f32, 1, cols);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data) % 64, 0u);
    EXPECT_GE(tensor.data, end);
    end = tensor.data + static_cast<size_t>(cols) * 4;
  }
}

TEST(Arena, ListsWhatWasPlanned) {
  Arena plan;
  carve(plan);
  ASSERT_EQ(plan.entries().size(), 5u);
  EXPECT_EQ(plan.entries()[0].name, "kept");
  EXPECT_EQ(plan.entries()[1].name, "scratch");
  EXPECT_EQ(plan.entries()[1].type, DType::bf16);
  EXPECT_EQ(plan.entries()[1].rows, 7);
  EXPECT_EQ(plan.entries()[1].cols, 33);
}

TEST(Arena, PlannedViewsAreNotEmpty) {
  Arena plan;
  EXPECT_TRUE(plan.tensor("first", DType::f32, 1, 1)) << "code that plans asks views whether they are there";
}

TEST(Arena, RefusesSizesThatOverflow) {
  Arena plan;
  EXPECT_THROW(plan.tensor("t", DType::f32, int64_t{1} << 40, int64_t{1} << 30), std::bad_alloc);
  EXPECT_EQ(plan.bytes(), 0u);
}

}  // namespace
}  // namespace mfa
