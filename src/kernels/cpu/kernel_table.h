// KernelTable: the serial kernels of one instruction set. path_*.cpp compile the same *.inl.h, each for its own; the
// device (portable code) cuts the work into pieces for the threads and calls them through this table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/device.h"

namespace mfa {

// A tile of the product used in inference and in the loop GEMM: see gemm_tile.inl.h.
struct TileProduct {
  int64_t m = 0, n = 0, k = 0;  // n a multiple of KernelTable::lanes
  const float* a = nullptr;     // a[i · a_row + p · a_k]
  int64_t a_row = 0, a_k = 1;
  const float* b = nullptr;  // b[p · b_row + j]
  int64_t b_row = 0;
  float* c = nullptr;
  int64_t c_row = 0;
  bool add = false;
};

// Panels [panel_begin, panel_end) of y = x W^T; a panel holds panel_width outputs as [in][panel_width], or of bf16
// where the path multiplies them [in / 2][panel_width][2], with zeros for the last partner where in is odd.
struct LinearPiece {
  const void* weight = nullptr;
  DType storage = DType::f32;
  int64_t in = 0, out = 0, panel_begin = 0, panel_end = 0;
  int64_t panel_numbers = 0;   // of one panel
  bool bf16_products = false;  // bf16 weights are multiplied as they are, with x in bf16
  const void* x = nullptr;     // f32, or bf16 with a zero behind each row where in is odd
  float* y = nullptr;
  int64_t x_row = 0, y_row = 0, rows = 0;
};

// One sequence, one KV head, some flattened (token, query head of the group) rows, some splits of the keys.
struct PagedPiece {
  const PagedAttentionArgs* args = nullptr;
  const std::byte* memory = nullptr;  // of the pool; a page is laid out by kv_layout.h
  KvPoolSpec spec;
  const int32_t* pages = nullptr;
  int64_t first_row = 0, first_position = 0;
  int64_t kv_head = 0, row_begin = 0, row_end = 0;  // at most paged_rows of them
  int64_t split_begin = 0, split_end = 0;           // each of `split_tokens` positions
  int64_t split_tokens = 0;
  float* scratch = nullptr;  // paged_scratch() floats, this thread's own
  float* states = nullptr;   // paged_state(rows) floats, or as many for each split where those are done apart
  // Splits apart, of each: whether its sums are in the state of the first split of its run. Null: all are folded.
  const uint8_t* folded = nullptr;
  bool continues = false;  // the same scratch did the split before, of the same rows
  // Queries and probabilities are rounded to bf16 and multiplied with a bf16 cache as it is; int8 keys that hold their
  // values are too, once their scales have made them bf16.
  bool bf16_products = false;
  const uint16_t* angles = nullptr;  // of the offsets in a split, for bf16 products with keys rotated on read
  bool fetch_into_l1 = false;        // pages ahead; else into L2 (fetches_into_l1)
};

// What a path's instructions want of cache pages (kv_layout.h): f32 numbers in a vector, rows of bf16 and of i8 pages
// that lie together (1: none).
struct KvPath {
  int64_t lanes, bf16_together, int8_together;
};

constexpr int64_t kKeyGroup = 16;  // keys that the bf16 kernels make ready together (paged_ready_keys.inl.h)

struct KernelTable {
  const char* name = "";  // not a string_view, whose constructor would be compiled in each path
  int64_t lanes = 0, tile_rows = 0, panel_width = 0;
  bool bf16_products = false;  // multiplies bf16 numbers itself
  KvPath pages = {};

  void (*tile_product)(const TileProduct&);
  void (*exp)(const float* x, float* y, int64_t n);
  void (*exp2_to_round)(const float* x, float* y, int64_t n);
  void (*round_to_bf16)(const float* x, float* y, int64_t n);
  void (*f32_to_bf16)(const float* x, uint16_t* y, int64_t n);
  void (*bf16_to_f32)(const uint16_t* x, float* y, int64_t n);
  // Rows [begin, end), begin a multiple of 2 · lanes, on paths with bf16_products (round_both_ways.inl.h).
  void (*round_both_ways)(const Tensor& x, uint16_t* as_is, uint16_t* turned, int64_t turned_row, int64_t begin,
                          int64_t end);

  // Rows [begin, end), or where the name says so columns [begin, end) over all rows in order.
  void (*add)(const Tensor& dst, const Tensor& src, int64_t begin, int64_t end);
  void (*scale)(const Tensor& x, float factor, int64_t begin, int64_t end);
  void (*add_bias)(const Tensor& x, const Tensor& bias, int64_t begin, int64_t end);
  void (*bias_gradient_columns)(const Tensor& dy, const Tensor& dbias, int64_t begin, int64_t end);
  void (*copy_heads)(const CopyHeadsArgs&, int64_t begin, int64_t end);
  void (*gate_forward)(const GateArgs&, int64_t begin, int64_t end);
  void (*gate_backward)(const GateGradArgs&, int64_t begin, int64_t end);
  void (*gate_gradient_columns)(const GateGradArgs&, int64_t begin, int64_t end);
  void (*norm_forward)(const NormArgs&, int64_t begin, int64_t end);
  // sums: [2][d], gets these rows' parts of dweight and dbias, unless null.
  void (*norm_backward)(const NormGradArgs&, int64_t begin, int64_t end, float* sums);
  void (*rope)(const RopeArgs&, int64_t begin, int64_t end);
  void (*swiglu_forward)(const Tensor& gate, const Tensor& up, const Tensor& out, int64_t begin, int64_t end);
  void (*swiglu_backward)(const Tensor& gate, const Tensor& up, const Tensor& dout, const Tensor& dgate,
                          const Tensor& dup, int64_t begin, int64_t end);
  void (*embedding_gradient_columns)(const Tensor& ids, const Tensor& dout, const Tensor& dtable, int64_t begin,
                                     int64_t end);
  void (*cross_entropy)(const CrossEntropyArgs&, int64_t begin, int64_t end);
  double (*sum_of_squares)(const float* x, int64_t n);
  double (*sum)(const float* x, int64_t n);
  float (*max_value)(const float* x, int64_t n);                // NaN if any is NaN
  void (*adamw)(const AdamWArgs&, int64_t begin, int64_t end);  // numbers, not rows

  // Training attention. A group is one KV head of one sequence; its rows, (token, query head) flattened, come in
  // `attention_blocks` blocks. Scratch in floats. bf16_products: all operands of products rounded to bf16.
  int64_t (*attention_blocks)(const AttentionShape&);
  int64_t (*attention_forward_scratch)(const AttentionShape&);
  int64_t (*attention_backward_scratch)(const AttentionShape&);
  int64_t (*attention_partial)(const AttentionShape&);  // dK and dV of one group
  void (*attention_forward)(const AttentionArgs&, int64_t group, int64_t block_begin, int64_t block_end, float* scratch,
                            bool keys_packed, bool bf16_products);
  // Blocks part, part + parts, …; dK and dV of these blocks go to `partial`.
  void (*attention_backward)(const AttentionGradArgs&, int64_t group, int64_t part, int64_t parts, float* scratch,
                             float* partial, bool bf16_products);
  // dk and dv of tokens [begin, end) from the partial sums, which lie attention_partial() apart.
  void (*attention_reduce)(const AttentionGradArgs&, int64_t group, int64_t parts, const float* partials, int64_t begin,
                           int64_t end);

  void (*linear)(const LinearPiece&);

  int64_t paged_rows = 0;
  // Rotations by tokens [begin, end) for PagedPiece::angles, 2 · half bf16 a token in whole groups of kKeyGroup tokens;
  // half: rounded up to whole vectors.
  void (*paged_angles)(const Tensor& cos, const Tensor& sin, int64_t begin, int64_t end, uint16_t* angles);
  int64_t (*paged_scratch)(const KvPoolSpec&);
  int64_t (*paged_state)(const KvPoolSpec&, int64_t rows);
  // All splits, folded; one of splits that are done apart, to a state of its own or into that of its run.
  void (*paged_splits)(const PagedPiece&);
  void (*paged_split_apart)(const PagedPiece&, int64_t split);
  // Folds the states that are left, in order, and writes the rows of out.
  void (*paged_finish)(const PagedPiece&, int64_t row_begin, int64_t row_end);
};

const KernelTable& plain_kernels();
// Null where the program was not compiled for x86-64.
const KernelTable* avx2_kernels();
const KernelTable* avx512_kernels();

// The fastest path of this CPU, or the one that MFA_CPU_PATH names. BadInput for an unknown name or a path that the CPU
// cannot run.
const KernelTable& choose_kernels();
// Whether the CPU has what the path of this name needs; false for an unknown name.
bool cpu_can_run(std::string_view path);

// Whether to fetch pages ahead into L1 and not only into L2: where L1 has 48 KB or more. Zen 5: 0.93 × the time where
// few heads read over bf16. With 32 KB, not tried.
bool fetches_into_l1();

}  // namespace mfa
