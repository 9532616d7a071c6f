// The guarded device guards, and its operations are those of the device inside.
#include "kernels/guarded_device.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "kernels/devices_under_test.h"
#include "kernels/paged_session.h"
#include "kernels/problem.h"

namespace mfa {
namespace {

TEST(GuardedDeviceDeathTest, MemoryIsOutOfReachBetweenOperations) {
  const auto device = make_guarded_device(make_reference_device());
  Operands operands(*device, 1);
  const Tensor x = operands.constant(1, 3, 1.5);
  volatile float* numbers = x.ptr<float>();
  EXPECT_DEATH({ [[maybe_unused]] const float read = numbers[0]; }, "");
  EXPECT_DEATH(numbers[0] = 1, "");
  EXPECT_EQ(read(*device, x), (std::vector<double>{1.5, 1.5, 1.5}));
}

// Also when the operation before threw.
TEST(GuardedDeviceDeathTest, MemoryIsOutOfReachAfterAnError) {
  const auto device = make_guarded_device(make_reference_device());
  const DeviceMemory memory(*device, 64);
  EXPECT_THROW(device->fill({memory.data(), DType::u8, 1, 64, 64}, 1), Failure);
  EXPECT_DEATH(*static_cast<volatile std::byte*>(memory.data()) = std::byte{1}, "");
}

template <class Case>
void expect_same_through_guard(Device& plain, Device& guarded, const Case& c) {
  SCOPED_TRACE(title(plain) + ": " + describe(c));
  Problem a = make_problem(plain, c), b = make_problem(guarded, c);
  for (Problem* problem : {&a, &b}) {
    problem->forward();
    problem->backward();
  }
  for (size_t i = 0; i < a.results.size(); ++i)
    EXPECT_EQ(read(guarded, b.results[i].value), read(plain, a.results[i].value)) << a.results[i].name;
}

TEST(GuardedDevice, OperationsWorkThroughIt) {
  auto plain = devices_under_test(), inner = devices_under_test();
  for (size_t i = 0; i < plain.size(); ++i) {
    const auto guarded = make_guarded_device(std::move(inner[i]));
    expect_same_through_guard(*plain[i], *guarded, shapes::matmul[4]);
    expect_same_through_guard(*plain[i], *guarded, shapes::norm[3]);
    expect_same_through_guard(*plain[i], *guarded, shapes::rope[2]);
    expect_same_through_guard(*plain[i], *guarded, shapes::copy_heads[4]);
    expect_same_through_guard(*plain[i], *guarded, shapes::gate[2]);
    expect_same_through_guard(*plain[i], *guarded, shapes::swiglu[2]);
    expect_same_through_guard(*plain[i], *guarded, shapes::embedding[1]);
    expect_same_through_guard(*plain[i], *guarded, shapes::bias[1]);
    expect_same_through_guard(*plain[i], *guarded, shapes::cross_entropy[2]);
    expect_same_through_guard(*plain[i], *guarded, shapes::adamw[1]);
    expect_same_through_guard(*plain[i], *guarded, shapes::attention[6]);
  }
}

TEST(GuardedDevice, InferenceWorksThroughIt) {
  auto plain = devices_under_test(), inner = devices_under_test();
  for (size_t i = 0; i < plain.size(); ++i) {
    const auto guarded = make_guarded_device(std::move(inner[i]));
    PagedSession a(*plain[i], shapes::paged[11]), b(*guarded, shapes::paged[11]);
    for (PagedSession* session : {&a, &b}) {
      session->append(session->contexts());
      session->append(session->calls());
      session->attend(session->calls());
    }
    for (const PagedSession::Piece& piece : a.calls()) EXPECT_EQ(b.result(piece), a.result(piece));
  }
}

}  // namespace
}  // namespace mfa
