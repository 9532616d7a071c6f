// Requests that the planner's tests share.
#pragma once

#include "capacity/plan.h"

namespace mfa {

// A machine with round figures, so that nothing depends on the table.
inline Hardware test_hardware() {
  Hardware h;
  h.name = "test";
  h.usd_per_hour = 2;
  h.bytes_per_s = 3e12;
  h.flops_f32 = 6e13;
  h.flops_bf16 = 1e15;
  h.flops_8bit = 2e15;
  h.memory_bytes = 80e9;
  return h;
}

// The shape of the paper's 1B models.
inline PlanRequest paper_request() {
  PlanRequest r;
  r.shape.layers = 20;
  r.shape.vocab = 65536;
  r.shape.context = 4096;
  r.widths = {2048};
  r.variants = {Variant::mha, Variant::mqa, Variant::gqa, Variant::mla, Variant::mfa, Variant::mfa_kr};
  r.hardware = test_hardware();
  return r;
}

// Some thousands of specs: a small grid at two widths.
inline PlanRequest small_request() {
  PlanRequest r = paper_request();
  r.shape.layers = 3;
  r.shape.vocab = 1000;
  r.widths = {128, 192};
  return r;
}

}  // namespace mfa
