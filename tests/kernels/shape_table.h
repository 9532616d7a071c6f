// The table of shapes, one list a kernel family. Gradient checks, comparisons of devices and benchmarks all walk it, so
// that a case is written once. `frame`: every tensor is a slice of a wider one, with that many columns on either side.
// `operand`: tensors that may be operands (kernels/device.h) are bf16.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace mfa::shapes {

struct MatmulCase {
  int64_t m, n, k;
  bool transpose_a = false, transpose_b = false, accumulate = false;
  int64_t frame = 0;
  Precision precision = Precision::f32;
  bool operand = false;
};
inline const std::vector<MatmulCase> matmul{
    {1, 1, 1},
    {1, 17, 3},
    {7, 3, 17, false, true},
    {17, 7, 3, true, false, true},
    {3, 17, 7, true, true, false, 5},
    {33, 65, 48, false, true, true, 3},
    {64, 48, 100, true, false, false, 8},
    {5, 40, 300, false, true, false, 1, Precision::bf16},
    {130, 70, 257, false, false, true, 0, Precision::bf16},
    {130, 256, 384, false, true},
    {7, 17, 33, false, false, false, 0, Precision::f32, true},
    {33, 48, 65, false, true, true, 3, Precision::bf16, true},
    {130, 70, 100, true, false, true, 0, Precision::bf16, true},
    {70, 100, 129, true, false, true, 3,
     Precision::bf16},  // a is turned as it is rounded; a part of b's blocks is left
    {16, 64, 64, true, false, false, 0, Precision::bf16},
};

struct NormCase {
  NormKind kind;
  int64_t rows, groups, dim;
  bool bias = false, accumulate_dx = false, in_place = false;
  int64_t frame = 0;
  bool operand = false, residual = false;  // residual: x is the sum of two
};
inline const std::vector<NormCase> norm{
    {NormKind::rms, 1, 1, 1},
    {NormKind::rms, 3, 1, 17},
    {NormKind::rms, 7, 3, 8, false, true, false, 3},
    {NormKind::rms, 17, 4, 40, false, false, true},
    {NormKind::rms, 5, 1, 384, false, false, false, 7},
    {NormKind::rms, 70, 1, 100, false, true},
    {NormKind::layer, 1, 1, 3, true},
    {NormKind::layer, 7, 1, 17, false, false, true, 1},
    {NormKind::layer, 3, 4, 48, true, true},
    {NormKind::layer, 65, 1, 256, true, false, false, 5},
    {NormKind::rms, 7, 3, 40, false, false, false, 3, true},
    {NormKind::layer, 5, 1, 100, true, false, false, 0, true},
    {NormKind::layer, 300, 1, 33, true, true},
    {NormKind::rms, 17, 1, 100, false, false, false, 3, true, true},
    {NormKind::layer, 5, 3, 17, true, true, false, 0, false, true},
};

// half = 0 … (head_dim − offset) / 2 rotated pairs.
struct RopeCase {
  int64_t rows, n_heads, head_dim, offset, half;
  bool inverse = false;
  int64_t frame = 0;
  bool elsewhere = false, operand = false;  // not in place
};
inline const std::vector<RopeCase> rope{
    {1, 1, 2, 0, 1},
    {3, 1, 8, 0, 4, true},
    {7, 3, 40, 0, 20, false, 3},
    {17, 26, 48, 0, 24},
    {5, 16, 256, 0, 128, true},
    {9, 4, 96, 64, 16, false, 1},  // MLA's rotary tail
    {3, 2, 17, 3, 5, true, 7},
    {9, 4, 96, 64, 16, false, 1, true},
    {17, 26, 48, 0, 24, true, 0, true, true},
    {3, 2, 17, 3, 5, false, 7, true, true},
};

struct CopyHeadsCase {
  int64_t rows, n_heads, dim, src_head_dim, src_offset, dst_head_dim, dst_offset;
  bool broadcast = false, accumulate = false;
  int64_t frame = 0;
};
inline const std::vector<CopyHeadsCase> copy_heads{
    {1, 1, 1, 1, 0, 1, 0},
    {7, 3, 8, 24, 16, 8, 0},
    {3, 4, 64, 64, 0, 96, 0, false, true, 5},
    {17, 4, 32, 32, 0, 96, 64, true},
    {5, 26, 3, 7, 2, 17, 11, true, true, 1},
};

struct GateCase {
  int64_t rows, groups, dim;
  bool alpha = true, in_place = false;
  int64_t frame = 0;
};
inline const std::vector<GateCase> gate{
    {1, 1, 1}, {7, 1, 48}, {3, 4, 17, true, true, 3}, {65, 1, 256, true, false, 5}, {17, 3, 40, false},
};

struct SwigluCase {
  int64_t rows, cols;
  bool in_place = false;
  int64_t frame = 0;
  double spread = 1;  // of the inputs; large: the tails of the sigmoid
  bool operand = false;
};
inline const std::vector<SwigluCase> swiglu{
    {1, 1}, {3, 7, true}, {17, 100, false, 3}, {7, 1024, true, 5}, {5, 33, false, 0, 40}, {9, 100, false, 5, 1, true},
};

struct EmbeddingCase {
  int64_t rows, vocab, width, frame = 0;
};
inline const std::vector<EmbeddingCase> embedding{{1, 1, 1}, {7, 3, 17}, {65, 19, 48, 3}, {33, 300, 256}};

struct BiasCase {
  int64_t rows, cols, frame = 0;
};
inline const std::vector<BiasCase> bias{{1, 1}, {7, 17}, {3, 256, 5}, {300, 40}};

struct CrossEntropyCase {
  int64_t rows, vocab;
  bool unscored = false;  // some targets are negative
  int64_t frame = 0;
  double spread = 1;
  bool operand = false;
};
inline const std::vector<CrossEntropyCase> cross_entropy{
    {1, 1}, {3, 7}, {17, 100, true, 3}, {7, 1031, false, 0, 30}, {65, 4096, true}, {9, 301, true, 5, 1, true},
};

struct AdamWCase {
  int64_t numbers, steps;
  double decay;
};
inline const std::vector<AdamWCase> adamw{{1, 1, 0}, {7, 3, 0.1}, {1000, 5, 0.1}, {40000, 2, 0}};

struct AttentionCase {
  std::string name;
  int64_t sequences, tokens, n_heads, kv_heads, key_dim, value_dim;
  int64_t window = 0;
  bool alibi = false, documents = false;
  bool value_is_key = false;  // v is the first columns of k's own memory
  bool accumulate_kv = false;
  int64_t frame = 0;
  double spread = 1;  // of the queries; large: one probability near 1
  bool operand = false;

  // Multiplications of one forward pass, to choose the cases that a numeric gradient can afford.
  int64_t products() const { return sequences * tokens * (tokens + 1) / 2 * n_heads * (key_dim + value_dim); }
};
inline const std::vector<AttentionCase> attention{
    {"one token", 1, 1, 1, 1, 8, 8},
    {"mha 8", 2, 7, 3, 3, 8, 8, 0, false, false, false, true},
    {"dims 3 and 5", 3, 17, 2, 1, 3, 5, 0, false, false, false, false, 1},
    {"dims 1", 1, 9, 2, 2, 1, 1},
    {"wide value", 1, 11, 2, 2, 8, 24},
    {"mha 40, strided", 1, 17, 3, 3, 40, 40, 0, false, false, false, false, 3},
    {"gqa 64", 2, 33, 4, 2, 64, 64, 0, false, false, false, true},
    {"mqa 26x48", 1, 65, 26, 1, 48, 48},
    {"mqa 16x256", 1, 20, 16, 1, 256, 256, 0, false, false, false, false, 8},
    {"mla 96/64", 2, 19, 4, 4, 96, 64},
    {"v inside k", 1, 21, 5, 1, 72, 64, 0, false, false, true},
    {"mfa-kr", 2, 30, 7, 1, 48, 48, 0, false, false, true, true},
    {"gqa v = k", 1, 13, 4, 2, 16, 16, 0, false, false, true, false, 5},
    {"window 5", 2, 40, 3, 1, 128, 128, 5},
    {"window 1", 1, 7, 2, 2, 8, 8, 1},
    {"window beyond the context", 1, 17, 2, 1, 40, 40, 100},
    {"alibi gqa", 1, 35, 6, 2, 48, 48, 0, true},
    {"documents", 2, 37, 3, 1, 40, 40, 0, false, true},
    {"documents, window, alibi", 2, 50, 4, 2, 24, 16, 9, true, true, false, true, 3},
    {"sharp", 1, 33, 3, 1, 64, 64, 0, false, false, false, false, 0, 12},
    {"many tiles", 1, 300, 4, 2, 64, 64, 0, false, false, false, true},
    {"many tiles, mqa", 1, 257, 26, 1, 48, 48, 0, false, true},
    {"many tiles, window, alibi", 2, 259, 3, 1, 40, 40, 100, true, false, false, false, 7},
    {"tall, sharp", 1, 520, 2, 1, 96, 64, 0, false, false, false, false, 0, 12},
    // Logits are normal with `spread`: of some 10⁴, the widest are at ±4 spreads.
    {"logits to 80", 1, 90, 5, 1, 48, 48, 0, false, false, false, false, 0, 20},
    {"logits to 80, key is value", 2, 35, 4, 2, 40, 40, 0, false, false, true, false, 0, 20},
    {"one-hot", 1, 70, 3, 1, 64, 64, 0, false, false, false, false, 0, 60},
    {"operand", 2, 33, 4, 2, 64, 64, 0, false, false, false, false, 3, 1, true},
    {"operand of 40", 1, 65, 6, 1, 48, 40, 0, false, true, false, false, 0, 1, true},
    {"one-hot, window, documents", 1, 80, 4, 2, 24, 16, 30, false, true, false, true, 3, 60},
};

// Prompts and single tokens over a paged cache.
struct PagedCase {
  std::string name;
  KvPoolSpec pool;  // pages is filled in by whoever runs the case
  int64_t n_heads;
  struct Sequence {
    int64_t context, rows;  // tokens cached before the call; tokens of the call
  };
  std::vector<Sequence> sequences;
  int64_t window = 0;
  bool alibi = false;
  int64_t rotated = 0;  // pairs of dims that are rotated on read
  int64_t frame = 0;
  double spread = 1;  // of the queries; large: one probability near 1
};
inline const std::vector<PagedCase> paged{
    {"first token", {1, 8, 8, false, 64}, 1, {{0, 1}}},
    {"prompt over small pages", {2, 8, 8, false, 4}, 4, {{0, 17}}, 0, false, 0, 3},
    {"page edges", {1, 64, 64, false, 64}, 4, {{62, 1}, {63, 1}, {64, 1}, {127, 1}, {128, 2}, {200, 1}}},
    {"mha 40", {3, 40, 40, false, 16}, 3, {{5, 7}, {0, 3}, {30, 1}}},
    {"gqa 128 bf16", {2, 128, 128, false, 64, 0, DType::bf16}, 8, {{100, 1}, {7, 20}}},
    {"mqa 26x48 bf16", {1, 48, 48, false, 64, 0, DType::bf16}, 26, {{150, 1}, {64, 3}, {0, 1}}, 0, false, 0, 5},
    {"mqa 16x256", {1, 256, 256, false, 32}, 16, {{70, 1}, {31, 2}}},
    {"dims 3 and 5", {1, 3, 5, false, 7}, 2, {{20, 9}}},
    {"mla expanded", {4, 96, 64, false, 16}, 4, {{0, 33}, {17, 1}}},
    {"mla absorbed", {1, 72, 64, true, 64}, 17, {{90, 1}, {3, 5}}, 0, false, 0, 1},
    {"mla absorbed bf16", {1, 72, 64, true, 16, 0, DType::bf16}, 5, {{90, 1}, {3, 5}}},
    {"mla, a narrow last block", {1, 20, 16, true, 16, 0, DType::bf16}, 5, {{90, 1}, {3, 5}}},
    {"mfa-kr", {1, 48, 48, true, 64}, 26, {{130, 1}, {0, 70}}, 0, false, 24},
    // Tiles of dot products have 1 to 7 rows, of lane products 1 to 14; pages are fetched ahead by three rules.
    {"mfa-kr, 1 to 5 rows", {1, 32, 32, true, 64}, 1, {{70, 1}, {9, 2}, {64, 3}, {130, 4}, {1, 5}}, 0, false, 16},
    {"mfa-kr, 7 to 13 rows", {1, 32, 32, true, 64}, 1, {{0, 7}, {57, 8}, {3, 10}, {20, 11}, {6, 13}}, 0, false, 16},
    {"mfa-kr, 14 to 29 rows", {1, 32, 32, true, 64}, 1, {{40, 14}, {5, 16}, {9, 20}, {0, 29}}, 0, false, 16},
    {"mfa-kr 256 bf16", {1, 256, 256, true, 64, 0, DType::bf16}, 16, {{65, 1}, {10, 2}}, 0, false, 128},
    {"mfa-kr, 3 heads bf16", {1, 64, 64, true, 64, 0, DType::bf16}, 3, {{700, 1}, {0, 30}}, 0, false, 32},
    {"mfa-kr, pages of 80 bf16", {1, 64, 64, true, 80, 0, DType::bf16}, 9, {{330, 1}, {0, 170}}, 0, false, 32},
    {"mfa-kr 256, pages of 20 bf16", {1, 256, 256, true, 20, 0, DType::bf16}, 3, {{530, 1}}, 0, false, 128},
    {"mfa-kr 80 bf16", {1, 80, 80, true, 64, 0, DType::bf16}, 5, {{530, 1}, {0, 20}}, 0, false, 40},
    {"mfa-kr 12 bf16", {1, 12, 12, true, 32, 0, DType::bf16}, 9, {{530, 1}, {0, 20}}, 0, false, 6},
    {"rotated in part, narrow bf16", {1, 80, 64, true, 32, 0, DType::bf16}, 6, {{70, 1}, {0, 20}}, 0, false, 16},
    {"mla absorbed, a narrow last block bf16", {1, 112, 96, true, 16, 0, DType::bf16}, 17, {{90, 1}, {3, 5}}},
    {"mfa-kr, window bf16", {1, 64, 64, true, 16, 0, DType::bf16}, 2, {{300, 1}, {0, 150}}, 100, false, 32},
    {"mla absorbed, whole blocks bf16", {1, 96, 64, true, 16, 0, DType::bf16}, 17, {{90, 1}, {3, 5}}},
    {"rotated in part", {2, 40, 24, true, 8}, 6, {{33, 1}, {0, 9}}, 0, false, 7},
    {"rotated in part bf16", {1, 128, 96, true, 32, 0, DType::bf16}, 9, {{70, 1}, {0, 20}}, 0, false, 32},
    {"window", {1, 48, 48, false, 16}, 3, {{100, 1}, {0, 60}, {10, 1}}, 20},
    {"window of one page", {2, 16, 16, false, 16}, 2, {{47, 1}, {48, 1}, {40, 30}}, 16},
    // The second sequence's first split has the number behind the first's last.
    {"windows behind each other", {1, 16, 16, false, 64}, 3, {{1020, 1}, {1590, 1}}, 500},
    {"the same, mfa-kr bf16", {1, 32, 32, true, 64, 0, DType::bf16}, 3, {{1020, 1}, {1590, 1}}, 500, false, 16},
    {"alibi", {1, 64, 64, false, 64}, 6, {{140, 1}, {0, 10}}, 0, true},
    {"alibi, window, in key, bf16", {1, 40, 40, true, 64, 0, DType::bf16}, 7, {{300, 2}, {0, 5}}, 70, true},
    {"long", {1, 64, 64, false, 64}, 4, {{3000, 1}, {1111, 2}, {2047, 1}}},
    {"long bf16 mfa-kr", {1, 48, 48, true, 64, 0, DType::bf16}, 26, {{2500, 1}}, 0, false, 24},
    {"runs of splits", {1, 16, 16, false, 64}, 3, {{4095, 2}, {4600, 1}, {9300, 1}}},
    {"runs of splits in a window", {1, 32, 32, false, 64, 0, DType::bf16}, 5, {{9300, 1}, {12000, 1}}, 6000},
    {"128k bf16", {1, 16, 16, false, 64, 0, DType::bf16}, 3, {{131071, 1}}},
    {"odd dims bf16", {2, 21, 37, false, 40, 0, DType::bf16}, 6, {{75, 2}, {0, 45}}},
    {"sharp", {1, 64, 64, false, 64, 0, DType::bf16}, 5, {{700, 1}, {0, 90}}, 0, false, 0, 0, 12},
    {"sharp mfa-kr", {1, 64, 64, true, 64, 0, DType::bf16}, 5, {{700, 1}, {0, 90}}, 0, false, 32, 0, 12},
    {"int8 mqa 16x256", {1, 256, 256, false, 64, 0, DType::i8}, 16, {{600, 1}, {31, 2}, {0, 70}}},
    {"int8 gqa 96/40", {2, 96, 40, false, 16, 0, DType::i8}, 6, {{70, 1}, {0, 21}}},
    {"int8 odd", {1, 7, 67, false, 5, 0, DType::i8}, 3, {{33, 1}, {0, 12}}},
    {"int8 window, alibi", {1, 48, 48, false, 64, 0, DType::i8}, 7, {{300, 1}, {0, 70}}, 70, true},
    {"int8 mfa-kr", {1, 96, 96, true, 64, 0, DType::i8}, 26, {{130, 1}, {0, 70}}, 0, false, 48},
    {"int8 mfa-kr, a narrow last block", {1, 80, 80, true, 64, 0, DType::i8}, 9, {{130, 1}, {0, 70}}, 0, false, 40},
    {"int8 mfa-kr 16x256", {1, 256, 256, true, 64, 0, DType::i8}, 16, {{600, 1}, {31, 2}, {0, 70}}, 0, false, 128},
    {"int8 in key, few rows", {1, 64, 64, true, 64, 0, DType::i8}, 3, {{130, 1}, {0, 20}}},
    {"int8 in key, odd dims", {1, 43, 37, true, 16, 0, DType::i8}, 5, {{70, 1}, {0, 21}}},
    {"mfa-kr, a narrow last block", {1, 80, 80, true, 64}, 9, {{130, 1}, {0, 70}}, 0, false, 40},
    {"int8, values of some dims", {1, 128, 96, true, 32, 0, DType::i8}, 9, {{70, 1}, {0, 20}}, 0, false, 32},
    {"logits to 80", {1, 256, 256, false, 64}, 16, {{600, 1}, {0, 30}}, 0, false, 0, 0, 20},
    {"logits to 80 bf16", {1, 48, 48, false, 64, 0, DType::bf16}, 26, {{700, 1}, {0, 70}}, 0, false, 0, 0, 20},
    {"logits to 80 int8", {1, 64, 64, false, 64, 0, DType::i8}, 5, {{700, 1}, {0, 70}}, 0, false, 0, 0, 20},
    {"logits to 80 mfa-kr", {1, 48, 48, true, 64, 0, DType::bf16}, 7, {{700, 1}, {0, 70}}, 0, false, 24, 0, 16},
    {"one-hot", {1, 64, 64, false, 64}, 5, {{700, 1}, {0, 70}}, 0, false, 0, 0, 100},
    {"one-hot int8", {1, 64, 64, false, 64, 0, DType::i8}, 5, {{700, 1}, {0, 70}}, 0, false, 0, 0, 100},
    {"one-hot mfa-kr bf16", {1, 64, 64, true, 64, 0, DType::bf16}, 5, {{700, 1}, {0, 70}}, 0, false, 32, 0, 80},
};

// Contexts of 128k at dims that are used: seconds and hundreds of megabytes each, so only in the full run.
inline const std::vector<PagedCase> paged_long{
    {"128k f32", {1, 16, 16, false, 64}, 3, {{131071, 1}}},
    {"128k int8", {1, 16, 16, false, 64, 0, DType::i8}, 3, {{131071, 1}}},
    {"128k f32, 16x64", {1, 64, 64, false, 64}, 16, {{131071, 1}}},
    {"128k bf16, 16x64", {1, 64, 64, false, 64, 0, DType::bf16}, 16, {{131070, 2}}},
    {"128k int8, 16x64", {1, 64, 64, false, 64, 0, DType::i8}, 16, {{131071, 1}}},
    {"128k bf16 mfa-kr, 16x64", {1, 64, 64, true, 64, 0, DType::bf16}, 16, {{131071, 1}}, 0, false, 32},
    {"128k int8 mfa-kr, 16x64", {1, 64, 64, true, 64, 0, DType::i8}, 16, {{131071, 1}}, 0, false, 32},
    {"128k bf16, logits to 90", {1, 64, 64, false, 64, 0, DType::bf16}, 16, {{131071, 1}}, 0, false, 0, 0, 20},
    {"128k int8, logits to 90", {1, 64, 64, false, 64, 0, DType::i8}, 16, {{131071, 1}}, 0, false, 0, 0, 20},
    {"128k bf16, window of 100k", {1, 64, 64, false, 64, 0, DType::bf16}, 8, {{131071, 1}}, 100000},
};

struct LinearCase {
  int64_t rows, out, in;
  DType storage = DType::f32;
  int64_t frame = 0;
};
inline const std::vector<LinearCase> linear{
    {1, 1, 1},
    {3, 17, 7},
    {7, 3, 40},
    {17, 100, 48, DType::bf16, 3},
    {1, 64, 384},
    {1, 65, 1030, DType::bf16},
    {5, 33, 256},
    {33, 130, 100, DType::f32, 5},
    {70, 48, 96},
    {64, 256, 128, DType::bf16},
    {2, 70, 33, DType::bf16},
    {14, 96, 64, DType::bf16},
    {29, 40, 129, DType::bf16, 1},
    {33, 130, 1101, DType::bf16},
    {300, 33, 40, DType::bf16},
    {256, 33, 1603, DType::bf16},
    {129, 64, 1601},
};

}  // namespace mfa::shapes
