// A case of the shape table set up on a device: what goes in, what comes out, and the two passes between.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/operands.h"
#include "kernels/shape_table.h"

namespace mfa {

struct Problem {
  struct Input {
    std::string name;
    Tensor value;
    // What backward writes; several where one input enters twice (k that is also v), summed over their common columns.
    std::vector<Tensor> gradients;
    double base = 0;  // the gradients before backward, where it adds to them
  };
  struct Output {
    std::string name;
    Tensor value, gradient;  // the gradient that backward starts from
  };
  // What two devices are compared on, with the `roundings` and `terms` of difference() (devices_under_test.h): the
  // square root of the number of terms where a result is a sum of random signs.
  struct Result {
    std::string name;
    Tensor value;
    double roundings, terms = 0;
  };

  std::unique_ptr<Operands> operands;
  std::function<void()> forward, backward;
  std::vector<Input> inputs;
  std::vector<Output> outputs;
  std::vector<Result> results;
};

std::string describe(const shapes::MatmulCase& c);
std::string describe(const shapes::NormCase& c);
std::string describe(const shapes::RopeCase& c);
std::string describe(const shapes::CopyHeadsCase& c);
std::string describe(const shapes::GateCase& c);
std::string describe(const shapes::SwigluCase& c);
std::string describe(const shapes::EmbeddingCase& c);
std::string describe(const shapes::BiasCase& c);
std::string describe(const shapes::CrossEntropyCase& c);
std::string describe(const shapes::AdamWCase& c);
std::string describe(const shapes::AttentionCase& c);

Problem make_problem(Device& device, const shapes::MatmulCase& c);
Problem make_problem(Device& device, const shapes::NormCase& c);
Problem make_problem(Device& device, const shapes::RopeCase& c);
Problem make_problem(Device& device, const shapes::CopyHeadsCase& c);
Problem make_problem(Device& device, const shapes::GateCase& c);
Problem make_problem(Device& device, const shapes::SwigluCase& c);
Problem make_problem(Device& device, const shapes::EmbeddingCase& c);
Problem make_problem(Device& device, const shapes::BiasCase& c);
Problem make_problem(Device& device, const shapes::CrossEntropyCase& c);
Problem make_problem(Device& device, const shapes::AdamWCase& c);  // has no backward, inputs and outputs
Problem make_problem(Device& device, const shapes::AttentionCase& c);

}  // namespace mfa
