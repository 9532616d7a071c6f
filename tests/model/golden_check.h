// Runs a golden case on a device and compares.
#pragma once

#include "kernels/device.h"
#include "model/fixture.h"

namespace mfa::test {

struct GoldenTolerance {
  double logits = 0;     // of the largest logit of the case
  double gradients = 0;  // of the length of the tensor's gradient, plus a thousandth of the length of all gradients
  double losses = 0;     // of the loss
  double trained = 0;    // of the length of the trained tensor; 0: not compared
};

// Logits, loss and gradients at the initial parameters.
void check_forward_backward(Device& device, const GoldenCase& golden, const GoldenTolerance& tolerance);
// The losses of ten AdamW steps on one batch, and the parameters after them.
void check_training(Device& device, const GoldenCase& golden, const GoldenTolerance& tolerance);

}  // namespace mfa::test
