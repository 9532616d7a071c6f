// All algorithms of one path, and the table that names them. Included last, after one of vec_*.h.
#pragma once

#include "kernels/cpu/attention_backward.inl.h"
#include "kernels/cpu/attention_forward.inl.h"
#include "kernels/cpu/attention_paged.inl.h"
#include "kernels/cpu/elementwise.inl.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/linear.inl.h"
#include "kernels/cpu/loss_optimizer.inl.h"
#include "kernels/cpu/norm.inl.h"
#include "kernels/cpu/round_both_ways.inl.h"

namespace mfa {
namespace {

inline KernelTable make_kernels(const char* name) {
  return {.name = name,
          .lanes = kLanes,
          .tile_rows = kTileRows,
          .panel_width = kPanel,
          .bf16_products = kBf16Products,
          .pages = kPages,
          .tile_product = tile_product,
          .exp = exp_all,
          .exp2_to_round = exp2_to_round_all,
          .round_to_bf16 = round_all_to_bf16,
          .f32_to_bf16 = f32_to_bf16,
          .bf16_to_f32 = bf16_to_f32,
          .round_both_ways = round_both_ways,
          .add = add,
          .scale = scale,
          .add_bias = add_bias,
          .bias_gradient_columns = bias_gradient_columns,
          .copy_heads = copy_heads,
          .gate_forward = gate_forward,
          .gate_backward = gate_backward,
          .gate_gradient_columns = gate_gradient_columns,
          .norm_forward = norm_forward,
          .norm_backward = norm_backward,
          .rope = rope,
          .swiglu_forward = swiglu_forward,
          .swiglu_backward = swiglu_backward,
          .embedding_gradient_columns = embedding_gradient_columns,
          .cross_entropy = cross_entropy,
          .sum_of_squares = sum_of_squares,
          .sum = sum_of,
          .max_value = max_value,
          .adamw = adamw,
          .attention_blocks = attention_blocks,
          .attention_forward_scratch = attention_forward_scratch,
          .attention_backward_scratch = attention_backward_scratch,
          .attention_partial = attention_partial,
          .attention_forward = attention_forward,
          .attention_backward = attention_backward,
          .attention_reduce = attention_reduce,
          .linear = linear,
          .paged_rows = kPagedRows,
          .paged_angles = paged_angles,
          .paged_scratch = paged_scratch,
          .paged_state = paged_state,
          .paged_splits = paged_splits,
          .paged_split_apart = paged_split_apart,
          .paged_finish = paged_finish};
}

}  // namespace
}  // namespace mfa
