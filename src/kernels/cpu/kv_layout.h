// Where each number of a cache page lies: known to the append (portable code) and to the kernels of each path.
//
// A page holds its KV heads one by one; a head holds, without padding,
//   i8 only: the scales of the keys [groups of 64 dims][page_tokens], then those of the values, in bf16
//   K, tokens in the vector lanes: blocks of `width` tokens, each [key_dim][width]
//   V, dims in the vector lanes:   blocks of `width` dims, each [page_tokens][width]
// width = two vectors; the last block is as narrow as what remains. Values inside keys: one matrix, laid out like V.
//
// Inside a row of a whole block (of two vectors, or one where rows are grouped or f32), number i: f32 at i. bf16: lane
// i of the first vector at 2i, lane i of the second at 2i + 1, so that a mask and a shift unpack both. i8, and bf16 on
// a path that multiplies it, where the rows divide: rows in groups, [row group][width][2 or 4], as the path's
// multiply-adds want them. Other rows are plain.
#pragma once

#include <cstdint>

#include "kernels/cpu/kernel_table.h"

namespace mfa {
namespace {

// One of the two matrices of a head: `outer` numbers in the lanes, `inner` rows.
struct KvMatrix {
  int64_t begin = 0;  // byte in the head
  int64_t outer = 0, inner = 0, width = 0;
  DType type = DType::f32;
  int64_t path_together = 1;  // rows that lie together where they divide

  int64_t size() const { return type == DType::f32 ? 4 : type == DType::bf16 ? 2 : 1; }
  int64_t block_width(int64_t block) const {
    const int64_t rest = outer - block * width;
    return rest < width ? rest : width;
  }
  int64_t together() const { return inner % path_together == 0 ? path_together : 1; }
  bool grouped() const { return together() > 1; }
  // Whether products read the block as it lies. Of a block of one vector they read two, the second of which belongs to
  // the next rows or to whatever follows, and nobody reads what comes of it.
  bool whole(int64_t block) const {
    const int64_t columns = block_width(block);
    return columns == width || (2 * columns == width && (grouped() || type == DType::f32));
  }
  // Byte where row `row` of a block begins; for grouped rows, the first of a group.
  int64_t at(int64_t block, int64_t row) const {
    return begin + (block * width * inner + row * block_width(block)) * size();
  }
  // Byte of number (i of the block, row).
  int64_t number(int64_t block, int64_t row, int64_t i) const {
    if (!whole(block) || type == DType::f32) return at(block, row) + i * size();
    const int64_t group = together();
    if (group > 1) return at(block, row / group * group) + (group * i + row % group) * size();
    return at(block, row) + (type == DType::i8 ? i : i < width / 2 ? 4 * i : 4 * i - 2 * width + 2);
  }
};

struct KvLayout {
  KvMatrix keys, values;  // the same one where values live inside keys; then tokens are its rows
  int64_t tokens, key_groups, value_groups, head_bytes;
  bool shared;

  KvLayout(const KvPoolSpec& spec, const KvPath& path)
      : tokens(spec.page_tokens), key_groups(0), value_groups(0), shared(spec.value_in_key) {
    const auto groups = [](int64_t dim) { return (dim + KvPoolSpec::kScaleGroup - 1) / KvPoolSpec::kScaleGroup; };
    if (spec.type == DType::i8) key_groups = groups(spec.key_dim), value_groups = shared ? 0 : groups(spec.value_dim);
    const int64_t scales = (key_groups + value_groups) * tokens * KvPoolSpec::kScaleBytes;
    keys = {.begin = scales, .outer = tokens, .inner = spec.key_dim, .width = 2 * path.lanes, .type = spec.type};
    keys.path_together = spec.type == DType::i8     ? path.int8_together
                         : spec.type == DType::bf16 ? path.bf16_together
                                                    : 1;
    values = keys;
    values.begin = shared ? scales : scales + tokens * spec.key_dim * keys.size();
    values.outer = shared ? spec.key_dim : spec.value_dim;
    values.inner = tokens;
    if (shared) keys = values;
    head_bytes = scales + tokens * (spec.key_dim + (shared ? 0 : spec.value_dim)) * keys.size();
  }
  // Bytes of the bf16 scales of group `group`, one a token; the values' groups come after the keys'.
  int64_t key_scales(int64_t group) const { return group * tokens * KvPoolSpec::kScaleBytes; }
  int64_t value_scales(int64_t group) const { return key_scales(shared ? group : key_groups + group); }
};

}  // namespace
}  // namespace mfa
