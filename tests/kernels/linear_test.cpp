// The inference product over packed weights: right, and each row the same to the last bit in any company.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/devices_under_test.h"
#include "kernels/operands.h"
#include "kernels/shape_table.h"

namespace mfa {
namespace {

struct Layer {
  Layer(Device& device, const shapes::LinearCase& c)
      : operands(device, 6, c.frame),
        x(operands.normal(c.rows, c.in)),
        y(operands.unwritten(c.rows, c.out)),
        weight(device.pack_weight(operands.normal(c.out, c.in), c.storage)) {}
  Operands operands;
  Tensor x, y;
  std::unique_ptr<PackedWeight> weight;
};

std::string describe(const Device& device, const shapes::LinearCase& c) {
  return fmt::format("{}: linear {} rows {} -> {} in {}", title(device), c.rows, c.in, c.out, name_of(c.storage));
}

void expect_agreement(Device& device) {
  const auto exact_device = make_reference_device(DType::f64);
  exact_device->set_precision(device.precision());
  for (const shapes::LinearCase& c : shapes::linear) {
    SCOPED_TRACE(describe(device, c));
    Layer exact(*exact_device, c), layer(device, c);
    exact_device->linear(exact.x, *exact.weight, exact.y);
    device.linear(layer.x, *layer.weight, layer.y);
    EXPECT_EQ(difference(read(device, layer.y), read(*exact_device, exact.y), std::sqrt(static_cast<double>(c.in))),
              "");
    EXPECT_TRUE(layer.operands.frames_intact());
  }
}

TEST(Linear, DevicesAgree) {
  expect_agreement(*make_reference_device(DType::f32));
  for (const auto& device : cpu_devices_in_each_precision()) expect_agreement(*device);
}

TEST(BatchInvariance, LinearRowsAloneAndTogether) {
  for (const auto& device : cpu_devices_in_each_precision())
    for (const shapes::LinearCase& c : shapes::linear) {
      SCOPED_TRACE(describe(*device, c));
      Layer layer(*device, c);
      device->linear(layer.x, *layer.weight, layer.y);
      const std::vector<double> together = read(*device, layer.y);
      for (const int64_t group : {1, 2, 3, 5, 16}) {  // every group size that a row kernel may take, and its remainders
        device->fill(layer.y, 0);
        for (int64_t r = 0; r < c.rows; r += group) {
          const int64_t count = std::min(group, c.rows - r);
          device->linear(layer.x.slice_rows(r, count), *layer.weight, layer.y.slice_rows(r, count));
        }
        EXPECT_EQ(read(*device, layer.y), together) << "in groups of " << group;
      }
    }
}

}  // namespace
}  // namespace mfa
