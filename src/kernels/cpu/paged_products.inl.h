// The register-tiled products of paged attention, reading cache blocks as they lie in a page (kv_layout.h).
//
// Lane products: C[rows × 2 vectors] (+)= A[rows × k] · B[k × 2 vectors], B a block of a page, unpacked in registers
// once a tile of up to kTileRows rows: 2·kTileRows FMAs for kTileRows broadcasts, a load and two integer operations
// (bf16). int8: 2·kTileRows multiply-adds for two or four numbers of k (Int8Products).
// Pair products: the same where the path multiplies bf16: A in bf16, B's rows in pairs, 2·kTileRows multiply-adds for
//   two numbers of k, nothing to unpack.
// Dot products: C[rows × 8 keys] = A[rows × dims] · K[8 keys × dims]^T with dims in the lanes; the sum across lanes
//   costs about kLanes·2 operations a row and four keys.
//
// Each number of C is one chain along k (dot: kLanes chains and one tree), whatever the number of rows.
#pragma once

#include "kernels/cpu/vec_math.inl.h"

namespace mfa {
namespace {

// Bytes that will be read soon, fetched bit by bit while products are computed: the CPU's prefetcher does not foresee
// the next page, and a burst of prefetches would fill the queue of misses. A part is about eight steps of a tile.
struct Ahead {
  const std::byte *next = nullptr, *end = nullptr;
  int64_t step = 0;  // bytes a part
  bool into_l1 = false;
  Ahead() = default;
  Ahead(const std::byte* begin, int64_t bytes, int64_t parts, bool into)
      : next(begin), end(begin + bytes), step(bytes / max_of(1, parts) + 1), into_l1(into) {}
  void touch(int64_t parts) {
    const std::byte* const stop = end - next > step * parts ? next + step * parts : end;
    for (; next < stop; next += 64) fetch(next, into_l1);
  }
  static void fetch(const std::byte* line, bool into_l1) {
    if (into_l1)
      __builtin_prefetch(line, 0, 3);
    else
      __builtin_prefetch(line, 0, 2);
  }
};
constexpr int64_t kPart = 8;

// The same inside a tile's loop, without a branch that depends on data: a prefetch at each of `steps` steps. Rounded
// up, a little beyond the end at the last: a line that is left out is waited for when its page comes. Only a page's
// last tiles divide: each tile would wait for it.
struct AheadInTile {
  const std::byte* next;
  int64_t step;
  const bool into_l1;
  AheadInTile(Ahead& ahead, int64_t steps)
      : next(ahead.next), step((ahead.step + kPart - 1) / kPart), into_l1(ahead.into_l1) {
    const int64_t left = max_of(0, ahead.end - ahead.next);
    if (left < step * steps) step = (left + steps - 1) / steps;
    ahead.next += step * steps;
  }
  void touch() { touch(into_l1); }
  void touch(bool into) {
    Ahead::fetch(next, into);
    next += step;
  }
};

struct FloatBlock {
  const float* data;
  int64_t width = 2 * kLanes;
  void load_row(int64_t p, Vec& x, Vec& y) const {
    x = load(data + p * width);
    y = load(data + p * width + kLanes);
  }
};
struct Bf16Block {
  const uint16_t* data;
  void load_row(int64_t p, Vec& x, Vec& y) const { load_bf16_pair(data + p * 2 * kLanes, x, y); }
};
// A row of a block whose rows lie in pairs, where it is to be multiplied in f32.
template <class Pairs>
struct PairedBlock {
  const uint16_t* data;
  int64_t width = 2 * kLanes;
  void load_row(int64_t p, Vec& x, Vec& y) const {
    const uint16_t* pair = data + p / 2 * 2 * width;
    const auto a = Pairs::load(pair), b = Pairs::load(pair + 2 * kLanes);
    x = p % 2 == 0 ? Pairs::first(a) : Pairs::second(a);
    y = p % 2 == 0 ? Pairs::first(b) : Pairs::second(b);
  }
};
// f(the block of bf16 numbers at `data`), as the path and the matrix lay it out.
template <class F, class Pairs = Bf16Pairs>
inline void with_bf16_block(bool paired, const std::byte* data, int64_t width, F&& f) {
  const auto* numbers = reinterpret_cast<const uint16_t*>(data);
  if constexpr (kBf16Products)
    if (paired) return f(PairedBlock<Pairs>{numbers, width});
  f(Bf16Block{numbers});
}

// How often a step of a lane tile touches memory ahead: where a step reads two lines of an f32 page, so often that one
// or two tiles of rows touch each line of the next page 1.5 to 2 times (see two_block_touches). Once a step, 8 rows
// took 1.5 × the time on AVX-512; where a step reads one line, more touches gain nothing.
inline int64_t lane_touches(int64_t rows) {
  constexpr bool two_lines = 2 * kLanes * sizeof(float) > 64;
  if (!two_lines || rows > 2 * kTileRows) return 1;
  return rows <= kTileRows ? 3 : 2;
}

// The loops over sums, here and in the tiles below, are unrolled by name: g++ 12 else does it too late to take the sums
// apart, and each tile writes them to the stack and reads them back before and behind its loop (values of 16 rows, Zen
// 5: 1.2 × the time).
template <int M, int kTouches, class Block>
inline void lane_tile(int64_t k, const float* a, int64_t a_row, Block b, float* c, int64_t c_row, bool add,
                      Ahead& ahead) {
  Vec sum[M][2];
#pragma GCC unroll 14
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < 2; ++j) sum[i][j] = add ? load(c + i * c_row + j * kLanes) : zero();
  AheadInTile soon(ahead, k * kTouches);
  for (int64_t p = 0; p < k; ++p) {
    for (int i = 0; i < kTouches; ++i) soon.touch();
    Vec row[2];  // and a loop over it: with the loop written out, g++ 12 keeps the sums of f32 blocks in memory (2.5 ×)
    b.load_row(p, row[0], row[1]);
#pragma GCC unroll 14
    for (int i = 0; i < M; ++i) {
      const Vec av = splat(a[i * a_row + p]);
      for (int j = 0; j < 2; ++j) sum[i][j] = fma(av, row[j], sum[i][j]);
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < 2; ++j) store(c + i * c_row + j * kLanes, sum[i][j]);
}

// Calls f(first row, integral constant of the tile's rows) for `rows` rows in tiles of at most M, evenly: 16 rows are
// 6 + 5 + 5, since a tile of 4 has too few chains to hide the latency of an FMA.
template <int M>
struct Count {
  static constexpr int value = M;
};
template <int M, class F>
inline void with_count(int64_t m, F&& f) {
  if (m == M) {
    f(Count<M>{});
  } else if constexpr (M > 1) {
    with_count<M - 1>(m, f);
  }
}
// The same where only some counts may come; the last stands for any other.
template <int M, int... kOthers, class F>
inline void with_one_of(int64_t m, F&& f) {
  if constexpr (sizeof...(kOthers) > 0)
    if (m != M) return with_one_of<kOthers...>(m, f);
  f(Count<M>{});
}
template <int M, class F>
inline void even_tiles(int64_t rows, F&& f) {
  int64_t tiles = (rows + M - 1) / M;
  for (int64_t r = 0; r < rows; --tiles) {
    const int64_t m = (rows - r + tiles - 1) / tiles;
    with_count<M>(m, [&](auto count) { f(r, count); });
    r += m;
  }
}

template <class Block>
inline void lane_product(int64_t rows, int64_t k, const float* a, int64_t a_row, Block b, float* c, int64_t c_row,
                         bool add, Ahead& ahead) {
  const auto tiles = [&](auto often) {
    even_tiles<kTileRows>(rows, [&](int64_t r, auto count) {
      lane_tile<decltype(count)::value, decltype(often)::value>(k, a + r * a_row, a_row, b, c + r * c_row, c_row, add,
                                                                ahead);
    });
  };
  with_one_of<3, 2, 1>(lane_touches(rows), tiles);
}

constexpr bool kTwoBlocks = kBf16Products;  // avx2's 16 registers hold the sums of one
constexpr int kTwoBlockRows = 5;            // 5 rows × 4 vectors: 20 sums; g++ 12 keeps those of 6 rows in memory

// How often a step of two rows of two blocks touches memory ahead: so often that all tiles of a page, with those of its
// scores, touch each line of the next 1.25 to 1.5 times, and with few rows of values that keys hold, twice. A prefetch
// is dropped where the queue of misses is full, and a line that none touches is waited for: at 0.75 a line, 8 or 12
// rows took 1.4 × the time. More touches take the time of loads (1.04 × at 16 rows).
inline int64_t two_block_touches(int64_t rows, bool values_in_keys) {
  if (rows <= kTwoBlockRows) return values_in_keys ? 4 : 6;
  return rows <= 2 * kTwoBlockRows ? 3 : 2;
}

// k numbers of B in (k + 1) / 2 pairs of rows, of one block or of two that lie `block` numbers apart; behind an odd k,
// nothing of the last pair's second row is used.
template <int M, int kBlocks, class Pairs>
struct PairTile {
  static constexpr int kVecs = 2 * kBlocks;
  int64_t a_row, width, block, c_row;

  template <class Load>
  void add_pair(const uint16_t* a, const uint16_t* b, Vec (&sum)[M][kVecs], const Load& load_pair) const {
    typename Pairs::Pair x[kVecs];
    for (int j = 0; j < kVecs; ++j) x[j] = load_pair(b + j / 2 * block + j % 2 * 2 * kLanes);
#pragma GCC unroll 14
    for (int i = 0; i < M; ++i) {
      const auto av = Pairs::splat(a + i * a_row);
      for (int j = 0; j < kVecs; ++j) sum[i][j] = Pairs::add(av, x[j], sum[i][j]);
    }
  }
  template <bool kAdd, int kTouches>
  void whole_pairs(int64_t k, const uint16_t* a, const uint16_t* b, float* c, Ahead& ahead) const {
    Vec sum[M][kVecs];
#pragma GCC unroll 14
    for (int i = 0; i < M; ++i)
      for (int j = 0; j < kVecs; ++j) sum[i][j] = kAdd ? load(c + i * c_row + j * kLanes) : zero();
    AheadInTile soon(ahead, k / 2 * kTouches);
    for (const uint16_t* const end = a + k / 2 * 2; a < end; a += 2, b += 2 * width) {
      for (int i = 0; i < kTouches; ++i) soon.touch();
      add_pair(a, b, sum, [](const uint16_t* from) { return Pairs::load(from); });
    }
    keep(sum, c);
  }
  // Apart, or the sums of all tiles would go through memory before and behind the loop.
  [[gnu::noinline]] void last_number(const uint16_t* a, const uint16_t* b, float* c) const {
    Vec sum[M][kVecs];
#pragma GCC unroll 14
    for (int i = 0; i < M; ++i)
      for (int j = 0; j < kVecs; ++j) sum[i][j] = load(c + i * c_row + j * kLanes);
    add_pair(a, b, sum, [](const uint16_t* from) { return Pairs::load_first(from); });
    keep(sum, c);
  }
  void keep(const Vec (&sum)[M][kVecs], float* c) const {
#pragma GCC unroll 14
    for (int i = 0; i < M; ++i)
      for (int j = 0; j < kVecs; ++j) store(c + i * c_row + j * kLanes, sum[i][j]);
  }
};
template <int M, int kBlocks, int kTouches, bool kAdd, class Pairs>
inline void pair_tile(int64_t k, const uint16_t* a, int64_t a_row, const uint16_t* b, int64_t width, int64_t block,
                      float* c, int64_t c_row, Ahead& ahead) {
  const PairTile<M, kBlocks, Pairs> tile{a_row, width, block, c_row};
  tile.template whole_pairs<kAdd, kTouches>(k, a, b, c, ahead);
  if (k % 2 != 0) tile.last_number(a + k - 1, b + (k - 1) * width, c);
}

template <bool kAdd, class Pairs>
inline void pair_product(int64_t rows, int64_t k, const uint16_t* a, int64_t a_row, const std::byte* b, int64_t width,
                         float* c, int64_t c_row, Ahead& ahead) {
  even_tiles<kTileRows>(rows, [&](int64_t r, auto count) {
    pair_tile<decltype(count)::value, 1, 2, kAdd, Pairs>(k, a + r * a_row, a_row, reinterpret_cast<const uint16_t*>(b),
                                                         width, 0, c + r * c_row, c_row, ahead);
  });
}
// Added to c, of two whole blocks, for short k: fewer numbers of A are read, and fewer sums wait for each other at a
// tile's end (64 numbers of k: 0.88 × the time). touches: two_block_touches.
template <class Pairs>
inline void pair_product_of_two(int64_t rows, int64_t k, const uint16_t* a, int64_t a_row, const std::byte* b,
                                int64_t block, float* c, int64_t c_row, int64_t touches, Ahead& ahead) {
  const auto tiles = [&](auto often) {
    even_tiles<kTwoBlockRows>(rows, [&](int64_t r, auto count) {
      pair_tile<decltype(count)::value, 2, decltype(often)::value, true, Pairs>(
          k, a + r * a_row, a_row, reinterpret_cast<const uint16_t*>(b), 2 * kLanes, block, c + r * c_row, c_row,
          ahead);
    });
  };
  with_one_of<6, 4, 3, 2>(touches, tiles);
}

// A block of 8-bit keys, rows of dims in groups: what its vectors are multiplied with, and what comes of a sum.
struct IntKeys {
  const std::byte* data;
  int64_t width;
  const float* scales;     // [tokens in the lanes]
  const int32_t* offsets;  // [rows], where keys are multiplied as numbers without sign
  static IntVec load(const int8_t* p) { return Int8Products::load_keys(p); }
  static IntVec add(IntVec query, IntVec keys, IntVec sum) { return Int8Products::add(keys, query, sum); }
  IntVec begin(int64_t row) const { return int_splat(Int8Products::kKeyOffset != 0 ? offsets[row] : 0); }
  Vec factor(float row_scale, int64_t lane) const { return splat(row_scale) * mfa::load(scales + lane); }
};
// A block of 8-bit values, rows of tokens in groups.
struct IntValues {
  const std::byte* data;
  int64_t width;
  static IntVec load(const int8_t* p) { return Int8Products::load(p); }
  static IntVec add(IntVec weights, IntVec values, IntVec sum) { return Int8Products::add(weights, values, sum); }
  IntVec begin(int64_t) const { return int_splat(0); }
  Vec factor(float row_scale, int64_t) const { return splat(row_scale); }
};

// C (+)= (A · B) · factor of the row and lane; of two blocks, whose factors are the same, the second lies `block` bytes
// on. |sum| < 2^31 for k ≤ 512.
template <int M, int kBlocks, class Block, class Number>
inline void int_tile(int64_t k, const Number* a, int64_t a_row, const Block& b, int64_t block, int64_t row,
                     const float* row_scale, float* c, int64_t c_row, bool add) {
  constexpr int64_t kTogether = Int8Products::kTogether;
  constexpr int kVecs = 2 * kBlocks;
  IntVec sum[M][kVecs];
#pragma GCC unroll 14
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < kVecs; ++j) sum[i][j] = b.begin(row + i);
  const auto* numbers = reinterpret_cast<const int8_t*>(b.data);
  for (int64_t p = 0; p < k; p += kTogether, numbers += kTogether * b.width) {
    IntVec x[kVecs];
    for (int j = 0; j < kVecs; ++j) x[j] = Block::load(numbers + j / 2 * block + j % 2 * kTogether * kLanes);
#pragma GCC unroll 14
    for (int i = 0; i < M; ++i) {
      const IntVec av = Int8Products::splat(a + i * a_row + p);
      for (int j = 0; j < kVecs; ++j) sum[i][j] = Block::add(av, x[j], sum[i][j]);
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < kVecs; ++j) {
      float* to = c + i * c_row + j * kLanes;
      store(to, fma(to_float(sum[i][j]), b.factor(row_scale[i], j * kLanes), add ? load(to) : zero()));
    }
}

// k: rounded up to whole groups of rows.
template <int kBlocks, class Block, class Number>
inline void int_product(int64_t rows, int64_t k, const Number* a, int64_t a_row, const Block& b, int64_t block,
                        const float* row_scale, float* c, int64_t c_row, bool add, Ahead& ahead) {
  even_tiles<kBlocks == 2 ? kTwoBlockRows : kTileRows>(rows, [&](int64_t r, auto count) {
    ahead.touch(kBlocks * k / kPart);
    int_tile<decltype(count)::value, kBlocks>(k, a + r * a_row, a_row, b, block, r, row_scale + r, c + r * c_row, c_row,
                                              add);
  });
}

constexpr int kDotRows = kTileRows / 2 < 6 ? kTileRows / 2 : 6;  // × 4 keys
constexpr int64_t kDotKeys = 8;  // unpacked at a time where values live inside keys: 8 KB at 256 dims

// Sums over dims in the lanes of M rows and N keys, to sums[row][kDotKeys][kLanes].
template <int M, int N>
inline void dot_tile(int64_t dims, const float* a, int64_t a_row, const float* keys, int64_t key_row, float* sums) {
  constexpr bool few_rows = M <= N;
  constexpr int kFew = few_rows ? M : N, kMany = few_rows ? N : M;
  const float *few_at = few_rows ? a : keys, *many_at = few_rows ? keys : a;
  const int64_t few_row = few_rows ? a_row : key_row, many_row = few_rows ? key_row : a_row;
  Vec sum[kFew][kMany];
#pragma GCC unroll 14
  for (int i = 0; i < kFew; ++i)
    for (int j = 0; j < kMany; ++j) sum[i][j] = zero();
  for (int64_t p = 0; p < dims; p += kLanes) {
    Vec few[kFew];  // and one of the many at a time: with 12 sums, all 16 registers of AVX2
    for (int i = 0; i < kFew; ++i) few[i] = load(few_at + i * few_row + p);
#pragma GCC unroll 14
    for (int j = 0; j < kMany; ++j) {
      const Vec one = load(many_at + j * many_row + p);
      for (int i = 0; i < kFew; ++i) sum[i][j] = fma(few[i], one, sum[i][j]);
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < N; ++j) store(sums + (i * kDotKeys + j) * kLanes, few_rows ? sum[i][j] : sum[j][i]);
}

// c[row][key] of M rows and kDotKeys keys. Sums across lanes wait in L1: at a tile's end they would hold up the next
// tile (1.15 × the time of 16 rows, out of L1).
template <int M>
inline void dot_rows(int64_t dims, const float* a, int64_t a_row, const float* keys, int64_t key_row, float* c,
                     int64_t c_row) {
  alignas(64) float sums[M * kDotKeys * kLanes];
  if constexpr (M <= kDotRows) {
    for (int j = 0; j < kDotKeys; j += 4)
      dot_tile<M, 4>(dims, a, a_row, keys + j * key_row, key_row, sums + j * kLanes);
  } else {
    dot_tile<M, 3>(dims, a, a_row, keys, key_row, sums);
    dot_tile<M, 3>(dims, a, a_row, keys + 3 * key_row, key_row, sums + 3 * kLanes);
    dot_tile<M, 2>(dims, a, a_row, keys + 6 * key_row, key_row, sums + 6 * kLanes);
  }
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < kDotKeys; j += 4) {
      const float* four = sums + (i * kDotKeys + j) * kLanes;
      store_sums(c + i * c_row + j, load(four), load(four + kLanes), load(four + 2 * kLanes), load(four + 3 * kLanes));
    }
}

// Tiles of kDotRows rows, of which some take a row more if that leaves no small one behind, whose few chains would wait
// for each other.
inline int64_t dot_tiles(int64_t rows) {
  const int64_t whole = rows / kDotRows, rest = rows % kDotRows;
  return whole + (rest > whole ? 1 : 0);
}

inline int64_t dot_parts(int64_t dims) { return 2 * dims / kLanes / kPart; }  // for Ahead, of a tile

// c[row][key] of kDotKeys keys; dims whole vectors.
inline void dot_product(int64_t rows, int64_t dims, const float* a, int64_t a_row, const float* keys, int64_t key_row,
                        float* c, int64_t c_row, Ahead& ahead) {
  for (int64_t tiles = dot_tiles(rows); tiles > 0; --tiles) {
    const int64_t m = rows > tiles * kDotRows ? kDotRows + 1 : min_of(rows, kDotRows);
    ahead.touch(dot_parts(dims));
    with_count<kDotRows + 1>(
        m, [&](auto count) { dot_rows<decltype(count)::value>(dims, a, a_row, keys, key_row, c, c_row); });
    rows -= m, a += m * a_row, c += m * c_row;
  }
}

}  // namespace
}  // namespace mfa
