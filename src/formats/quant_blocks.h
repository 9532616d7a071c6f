// Numbers of GGUF tensors to f32 and back, bit for bit as ggml (ggml-quants.c) and the PyPI package gguf convert them.
#pragma once

#include <cstddef>
#include <span>

#include "formats/ggml_type.h"

namespace mfa {

// bytes must be whole blocks that hold dst.size() numbers (BadInput otherwise). Large tensors take all threads.
void dequantize(GgmlType type, std::span<const std::byte> bytes, std::span<float> dst);

// The types we write: f32, f16, bf16, Q8_0 and Q4_0.
bool can_write(GgmlType type);

// src must be whole blocks and dst their bytes. BadInput for a number that the type cannot hold: not finite, or, in f16
// and in scales, beyond 65504.
void quantize(GgmlType type, std::span<const float> src, std::span<std::byte> dst);

// One block each, for dequantize's table.
void dequantize_q2_k(const std::byte* block, float* dst);
void dequantize_q3_k(const std::byte* block, float* dst);
void dequantize_q4_k(const std::byte* block, float* dst);
void dequantize_q5_k(const std::byte* block, float* dst);
void dequantize_q6_k(const std::byte* block, float* dst);

}  // namespace mfa
