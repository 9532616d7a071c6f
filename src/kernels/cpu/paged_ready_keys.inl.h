// Scores in bf16 of a tile whose keys hold its values, rotated as they are read where the model wants that (MFA-KR).
//
// Values want dims in the lanes, so a page has them there, in pairs of keys. Scores want pairs of dims, and sums across
// lanes cost more than the products of a few rows. So a group of 16 keys is made ready in L1: pairs of keys become
// pairs of dims, those are rotated, and slices of vectors are exchanged, so that a vector holds a slice, two pairs of
// dims, of each of eight keys. A score is the sum of a slice then, and a fold of two vectors gives those of 16 keys.
//
// Keys that do not pair as they lie, and int8 ones, are gathered first (paged_gathered_keys.inl.h).
//
// Keys are made ready step by step between the products of the group before, a step after some rows, also across tiles:
// shifts, shuffles and roundings run beside products, as long as they are spread evenly (all at once: 1.15 × the time
// of 16 rows).
//
// Angles are read from a table of offsets in a split, 4·half bytes each (AngleTable): R(start + offset) = R(start)
// R(offset), and R(start) turns the queries. bf16 angles are off by 2^-8 of a number at most, as bf16 keys are.
//
// Measured on Zen 5 out of L2: the scores of a key of 256 dims take 55, 91, 282 cycles with 4, 16, 64 rows, of which
// products of queries and angles are 24, 72, 264, and separate keys take 28, 68, 260. Without the making of keys the
// tiles of 16 and 64 rows take 67 and 256; with keys and angles in L1 and nothing fetched, 16 rows take 84. There two
// units multiply, and what shuffles across quarters of a vector, shuffles bytes or rounds takes a third of a product's
// turn from them (24 of the making's 130 operations a key); sums, shifts, blends, xors, shuffles within quarters and
// stores of a quarter or half that extract it are free. Splats of 64 bits are part of a load and those of 128 are
// shuffles, hence slices: quarters, four pairs of each of four keys, took 1.06 × the time of 64 rows and 1.0 × of 16,
// but 0.85 × of 4, whose eight sums wait for each other here. Tried there, without gain: quarter turns by shifts or by
// shuffles of words (1.0 ×), making spread thinner over the tiles of 32 and 64 rows (1.02 ×), no fetching of the next
// vectors into L1 (1.02 to 1.08 ×), pairs of dims by masked loads from odd addresses (1.07 ×), 16 rows in the lanes and
// splats of keys, which then need no exchange (1.2 ×: a load for each product), pages one ahead (1.6 ×), 16 rows whose
// makers leave touching to the values (1.0 ×), quarters exchanged by extracting stores (1.03 ×; 4 rows 1.2 ×), whole
// vectors of pairs and sums across all lanes, which need no exchange (1.15 ×).
//
// Measured on Zen 4 out of L2, in quarters: 78, 162, 561 cycles with 4, 16, 64 rows, of which 32, 128, 512 are products
// of queries and 16 of angles. Every operation of 512 bits takes one of two pairs of units for a cycle there, so that
// with few rows their number is the bound: 48 products, 8 shifts and 8 blends (exchange of pairs), 8 permutations and 8
// xors (quarter turns), 8 roundings of two each, 8 shuffles (quarters); slices have 8 more, and no splats that shuffle.
// Tried, without gain: sums across all lanes and no exchange of quarters (1.1 ×), shifts by loads from odd addresses
// (1.0 ×), quarters exchanged by partial stores or by partial loads (1.1 ×), quarter turns from the table (1.2 × with 4
// rows in place: twice the bytes in L2), one angle for two keys 8 tokens apart with queries turned for either (1.05 ×:
// queries twice in L1), with 4 rows one angle for the four keys of a vector (0.95 × out of L2, no gain in place), both
// keys of a pair by two byte permutations (1.06 ×), keys transposed whole to the lanes of a vector (1.13, 1.08,
// 1.07 ×), pages three or four ahead (1.02 – 1.1 ×) or touched group by group (1.0 ×), with 4 rows half of the making
// beside the products of values (0.92 × out of L2, 1.08 × in place, where keys of a whole tile wait in L2), splits of
// 256 or 1,024 tokens (1.0 ×), each line of a page touched once only (1.17 ×: a prefetch is dropped where the queue of
// misses is full), pairs of keys swapped in half of the page's dims, so that one blend does for a shift and a blend
// (1.0 ×), tiles of 32 keys (1.1 ×), angles fetched past L1 (1.0 ×), loops aligned to 32 or 64 bytes (1.0 ×).
#pragma once

#include "kernels/cpu/paged_gathered_keys.inl.h"

namespace mfa {
namespace {

constexpr int kReadyRows = 8;  // 8 rows × 16 keys: 16 sums, which leaves registers to make keys ready
// Vectors of ready keys of a group: a slice of the pairs for each key.
template <class Pairs>
constexpr int kKeyVectors = kKeyGroup / Pairs::kSlices;

// Rotations by tokens [begin, end): (cos, −sin) as [tokens / 16][half / kLanes][4 vectors][4 quarters][kLanes][2], and
// zeros behind a half that ends within a vector: what is paired there is neither a pair nor a part of a score.
template <class Pairs = Bf16Pairs>
inline void paged_angles(const Tensor& cos, const Tensor& sin, int64_t begin, int64_t end, uint16_t* angles) {
  if constexpr (kBf16Products) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t key = t % kKeyGroup;
      uint16_t* to = angles + ((t - key) * rotated_vectors(cos.cols) + key % 4 * 4 + key / 4) * kBlock;
      each_vec(cos.cols, [&](int64_t c, auto part) {
        Pairs::store_pairs(to, load(row_of(cos, t) + c, part), zero() - load(row_of(sin, t) + c, part));
        to += kKeyGroup * kBlock;
      });
    }
  }
}

// Whether this way can be taken: whole groups of keys, whole vectors of dims, and rotated halves of whole vectors, or
// in bf16 that end in the middle of one if they are all of the key.
inline bool readies_keys(const PagedPiece& piece, const KvLayout& at) {
  const int64_t half = rotated_half(piece), dims = at.keys.outer;
  const bool ends_within = at.keys.type == DType::bf16 && half % (kLanes / 2) == 0 && 2 * half == dims;
  return piece.bf16_products && at.shared && at.tokens % kKeyGroup == 0 && dims % kLanes == 0 &&
         (half % kLanes == 0 || ends_within);
}
// Where the vectors of the pairs lie, in a row of two keys of the page or of gathered keys. Numbers,
// [key_pad / kBlock][2], and a pair behind them.
inline void pair_dims(const PagedScratch& s, const KvLayout& at, int64_t half) {
  const auto place = [&](int64_t vector) { return vector / 2 * kBlock * at.tokens + vector % 2 * kBlock; };
  const int64_t pairs = s.key_pad / kBlock;
  for (int64_t u = 0; u < pairs; ++u) {
    const PairOfVectors of(u, half);
    const bool gathered = gathers_keys(at);
    s.pairs[2 * u] = gathered ? u * kKeyGroup * kBlock : place(of.first);
    s.pairs[2 * u + 1] = gathered ? s.pairs[2 * u] + kBlock : place(of.second);
  }
  s.pairs[2 * pairs] = s.pairs[2 * pairs + 1] = 0;
}

// Queries in the order in which they are turned, to s.turned: [rows / kReadyRows][key_pad / kBlock][kReadyRows][2]
// vectors, the two of a pair beside each other. As rows of key_pad, turning them took 1.4 × the time.
inline void lay_out_queries(const PagedPiece& piece, const PagedScratch& s, int64_t rows) {
  const int64_t half = rotated_half(piece), pairs = s.key_pad / kBlock;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t u = 0; u < pairs; ++u) {
      const bool turns = u < rotated_vectors(half);
      const float* q = s.queries + r * s.key_pad + (turns ? u * kLanes : u * kBlock);
      float* to = s.turned + ((r / kReadyRows * pairs + u) * kReadyRows + r % kReadyRows) * kBlock;
      store(to, load(q));
      store(to + kLanes, load(q + (turns ? half : kLanes)));
    }
}

// Queries rotated back by the split's start (s.block: cosines, sines), from s.turned to s.half_turned, which is laid
// out alike: [rows / kReadyRows][key_pad / kBlock][kReadyRows][kBlock]. Rows beyond the last are what they were, and so
// are their scores, which nobody reads.
template <class Pairs = Bf16Pairs>
inline void pair_queries(const PagedPiece& piece, const PagedScratch& s, int64_t rows) {
  if constexpr (kBf16Products) {
    const int64_t half = rotated_half(piece);
    const float* from = s.turned;
    uint16_t* to = s.half_turned;
    for (int64_t first = 0; first < rows; first += kReadyRows)
      for (int64_t u = 0; u < s.key_pad / kBlock; ++u, from += kReadyRows * kBlock, to += kReadyRows * kBlock) {
        const auto each_row = [&](const auto& pairs_of) {
          for (int64_t i = 0; i < min_of(kReadyRows, rows - first) * kBlock; i += kBlock)
            Pairs::store(to + i, pairs_of(load(from + i), load(from + i + kLanes)));
        };
        const int64_t c = u * kLanes, rest = half - c;
        if (rest <= 0) {
          each_row([](Vec a, Vec b) { return Pairs::interleave(Pairs::join(a, b)); });
          continue;
        }
        const float *cos_at = s.block + c, *sin_at = cos_at + half;
        const Vec cos = rest >= kLanes ? load(cos_at) : load(cos_at, Part{rest});
        const Vec sin = rest >= kLanes ? load(sin_at) : load(sin_at, Part{rest});
        each_row([=](Vec a, Vec b) { return Pairs::join(fma(a, cos, b * sin), fms(b, cos, a * sin)); });
      }
  }
}

// g++ would gather the steps of an unrolled loop, and keep more numbers at once than there are registers.
inline void keep_order() { asm volatile(""); }

// Vectors of pairs of eight keys on their way: of keys 4l + j and, behind them, of keys 4l + j + 1.
template <class Pairs>
struct InWork {
  typename Pairs::Pair key[2][2];     // of an even and an odd l
  Vec low[2][2], high[2][2];          // the same rotated, not yet rounded: the first and the second dims of the pairs
  typename Pairs::Pair halves[2][4];  // of l = 0 and 1 the first halves, of 2 and 3; then the second halves
  typename Pairs::Pair quarters[2][2];
};

// A group of keys on its way from `keys`, the page's or gathered ones, to
// [key_pad / kBlock][kSlices][kKeyVectors][kBlock], a vector of pairs at a time; keys 4l + j are counted from `first`.
template <class Pairs>
struct RawGroup {
  using Pair = typename Pairs::Pair;
  const uint16_t* keys;
  const int64_t* pairs;
  const uint16_t* angles;  // anything where no key is rotated
  uint16_t* to;
  int first;

  RawGroup(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t, int64_t token,
           int first_key, uint16_t* group)
      : keys(gathers_keys(at) ? s.gathered
                              : reinterpret_cast<const uint16_t*>(t.head + at.keys.at(0, t.offset + token))),
        pairs(s.pairs),
        angles(piece.angles != nullptr ? piece.angles : group),
        to(group),
        first(first_key) {
    angles += (t.in_split + token) * rotated_vectors(rotated_half(piece)) * kBlock;
  }
  void next() {
    pairs += 2;
    angles += kKeyGroup * kBlock;
    to += kKeyGroup * kBlock;
  }

  // Step 0 … kSteps − 1 towards the vectors of the keys 4l + j and 4l + j + 1.
  static constexpr int kSteps = 16;
  template <bool kRotated>
  void make(int step, int j, InWork<Pairs>& w) const {
    const int l = step / 3;
    if (step < 12 && step % 3 == 0) pair_up(keys + (l * 4 + first + j) * kBlock, l % 2, w);
    for (int k = 0; k < 2; ++k) {
      const int m = (step - 12) / 2 * 2;
      if (step >= 12 && step % 2 == 0)
        Pairs::split_quarters(w.halves[k][m], w.halves[k][m + 1], w.quarters[k][0], w.quarters[k][1]);
      else if (step >= 12)
        store_quarter(m + k, j, w.quarters[0][k], w.quarters[1][k]);
      else if (step % 3 == 1 && kRotated)
        turn(angles + ((first + j + k) * 4 + l) * kBlock, w.key[k][l % 2], w.low[k][l % 2], w.high[k][l % 2]);
      else if (step % 3 == 2 && l % 2 == 1)
        exchange_halves<kRotated>(l / 2, k, w);
    }
  }

 private:
  void pair_up(const uint16_t* row, int odd, InWork<Pairs>& w) const {
    const Pair a = Pairs::load_once(row + pairs[0]), b = Pairs::load_once(row + pairs[1]);
    // The next vector of pairs into L1: the CPU does not foresee jumps from block to block.
    __builtin_prefetch(row + pairs[2], 0, 3);
    __builtin_prefetch(row + pairs[3], 0, 3);
    w.key[0][odd] = Pairs::firsts(a, b);
    w.key[1][odd] = Pairs::seconds(a, b);
  }
  static void turn(const uint16_t* angle, Pair key, Vec& low, Vec& high) {
    __builtin_prefetch(angle + kKeyGroup * kBlock, 0, 3);
    const Pair by = Pairs::load_once(angle);
    low = Pairs::add(key, by, zero());
    high = Pairs::add(key, Pairs::quarter_turn(by), zero());
  }
  // Rounding joins two vectors anyway: those of two keys.
  template <bool kRotated>
  static void exchange_halves(int i, int k, InWork<Pairs>& w) {
    Pair &low = w.halves[k][i], &high = w.halves[k][i + 2];
    if constexpr (kRotated) {
      low = Pairs::join(w.low[k][0], w.low[k][1]);
      high = Pairs::join(w.high[k][0], w.high[k][1]);
    } else {
      Pairs::split_halves(w.key[k][0], w.key[k][1], low, high);
    }
  }
  // Quarter m of the pairs, of keys 4l + j and 4l + j + 1: in slices of one vector, or in two vectors.
  void store_quarter(int m, int j, Pair x, Pair y) const {
    constexpr int kSlicesOfQuarter = Pairs::kSlices / 4, kVectors = kKeyVectors<Pairs>;
    Pairs::interleave_slices(x, y);
    uint16_t* at = to + (m * kSlicesOfQuarter * kVectors + (first + j) / kSlicesOfQuarter) * kBlock;
    Pairs::store(at, x);
    Pairs::store(at + (kSlicesOfQuarter > 1 ? kVectors : 1) * kBlock, y);
  }
};

// What a tile of products makes of the next group meanwhile, at step `step` of `steps` of a vector of pairs: nothing,
// keys 4l and 4l + 1 or the two behind them, or all. touches(rows of the tile): how often a slice touches memory ahead.
struct MakesNone {
  static constexpr int kKeys = 0;
  static constexpr int touches(int64_t /*rows*/) { return 2; }
  template <bool kRotated, class Pairs>
  static void make(const RawGroup<Pairs>&, int, int, InWork<Pairs>&) {}
};
template <int kTouches>
struct MakesHalf {
  static constexpr int kKeys = 2;
  static constexpr int touches(int64_t /*rows*/) { return kTouches; }
  template <bool kRotated, class Pairs>
  static void make(const RawGroup<Pairs>& group, int step, int steps, InWork<Pairs>& w) {
    constexpr int kSteps = RawGroup<Pairs>::kSteps;
    for (int i = step * kSteps / steps; i < (step + 1) * kSteps / steps; ++i) group.template make<kRotated>(i, 0, w);
  }
};
struct MakesAll {
  static constexpr int kKeys = 4;
  static constexpr int touches(int64_t rows) { return rows <= kReadyRows / 2 ? 4 : 2; }
  template <bool kRotated, class Pairs>
  static void make(const RawGroup<Pairs>& group, int step, int steps, InWork<Pairs>& w) {
    constexpr int kSteps = RawGroup<Pairs>::kSteps;
    for (int i = step * 2 * kSteps / steps; i < (step + 1) * 2 * kSteps / steps; ++i) {
      group.template make<kRotated>(i % kSteps, i / kSteps * 2, w);
      keep_order();
    }
  }
};

// Tiles of a page's scores touch each line of a later page twice or more, by 4 and by 16 rows twice. Of many tiles,
// those that make keys leave it to the others: their loads are a bound already (0.97 × the time of the scores of 64
// rows).
inline bool makers_touch(int64_t tiles) { return tiles < 4; }

// f(the making that tile i of `tiles` does).
template <class F>
inline void with_share(int64_t i, int64_t tiles, bool more, F&& f) {
  if (!more || i >= 2) return f(MakesNone{});
  if (tiles == 1) return f(MakesAll{});
  makers_touch(tiles) ? f(MakesHalf<2>{}) : f(MakesHalf<0>{});
}

// One vector of pairs: slice by slice, row by row, a step of making after each.
template <int M, class Makes, bool kRotated, bool kIntoL1, class Pairs>
inline void slice_steps(RawGroup<Pairs>& group, const uint16_t* a, const uint16_t* keys,
                        Vec (&sum)[M][kKeyVectors<Pairs>], AheadInTile& soon) {
  constexpr int kSlices = Pairs::kSlices, kVectors = kKeyVectors<Pairs>;
  InWork<Pairs> work;
#pragma GCC unroll 8
  for (int m = 0; m < kSlices; ++m) {
    for (int i = 0; i < Makes::touches(M); ++i) soon.touch(kIntoL1);
    typename Pairs::Pair key[kVectors];
    for (int j = 0; j < kVectors; ++j) key[j] = Pairs::load(keys + (m * kVectors + j) * kBlock);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
      const auto av = Pairs::splat_slice(a + i * kBlock + m * kBlock / kSlices);
      for (int j = 0; j < kVectors; ++j) sum[i][j] = Pairs::add(av, key[j], sum[i][j]);
      keep_order();
      Makes::template make<kRotated>(group, m * M + i, kSlices * M, work);
      keep_order();
    }
  }
  group.next();
}

// c[row][key] of M rows and the keys of a group, in rotated + plain vectors of pairs, while `from` is made. Not
// inlined: beside each other, its kinds leave g++ too few registers. `from` by reference: g++ copies an argument with
// wider loads than it was stored with, and each tile waits for that (1.06 × the time of 16 rows).
template <int M, class Makes, bool kIntoL1, class Pairs>
[[gnu::noinline]] void ready_tile(const RawGroup<Pairs>& from, const uint16_t* a, const uint16_t* keys, float* c,
                                  int64_t rotated, int64_t plain, Ahead& ahead) {
  RawGroup<Pairs> group = from;
  Vec sum[M][kKeyVectors<Pairs>];
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < kKeyVectors<Pairs>; ++j) sum[i][j] = zero();
  AheadInTile soon(ahead, Pairs::kSlices * Makes::touches(M) * (rotated + plain));
  for (; rotated > 0; --rotated, a += kReadyRows * kBlock, keys += kKeyGroup * kBlock)
    slice_steps<M, Makes, true, kIntoL1, Pairs>(group, a, keys, sum, soon);
  for (; plain > 0; --plain, a += kReadyRows * kBlock, keys += kKeyGroup * kBlock)
    slice_steps<M, Makes, false, kIntoL1, Pairs>(group, a, keys, sum, soon);
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) Pairs::store_slice_sums(c + i * kPagedTile, sum[i]);
}

// The tile for `rows` rows or the first of them. Chosen here: a branch at each touch took 1.05 × the time of 16 rows.
template <class Makes, class Pairs>
inline auto ready_tile_of(int64_t rows, bool into_l1) {
  constexpr int kFew = kReadyRows / 2;
  if (rows > kFew)
    return into_l1 ? ready_tile<kReadyRows, Makes, true, Pairs> : ready_tile<kReadyRows, Makes, false, Pairs>;
  return into_l1 ? ready_tile<kFew, Makes, true, Pairs> : ready_tile<kFew, Makes, false, Pairs>;
}

inline int64_t ready_tiles(int64_t rows) { return (rows + kReadyRows - 1) / kReadyRows; }

// For Ahead: parts of the scores of a page.
template <class Pairs = Bf16Pairs>
inline int64_t ready_parts(int64_t tokens, int64_t key_pad, int64_t rows) {
  if constexpr (kBf16Products) {
    const int64_t tiles = ready_tiles(rows);
    const int64_t touches = tiles == 1 ? MakesAll::touches(rows)
                                       : MakesNone::touches(kReadyRows) * (makers_touch(tiles) ? tiles : tiles - 2);
    return tokens / kKeyGroup * (key_pad / kBlock) * Pairs::kSlices * touches / kPart;
  }
  return 0;
}

// A vector of pairs of a group that no tile made. Unrolled, or what is on its way lies in memory (4 × the time).
template <bool kRotated, class Pairs>
inline void make_vector(RawGroup<Pairs>& group) {
  InWork<Pairs> work;
#pragma GCC unroll 32
  for (int i = 0; i < 2 * RawGroup<Pairs>::kSteps; ++i) {
    MakesAll::make<kRotated>(group, i, 2 * RawGroup<Pairs>::kSteps, work);
    keep_order();
  }
  group.next();
}
template <class Pairs>
inline void make_group(RawGroup<Pairs> group, int64_t rotated, int64_t plain) {
  for (; rotated > 0; --rotated) make_vector<true>(group);
  for (; plain > 0; --plain) make_vector<false>(group);
}

// Where the group behind the one at `group` is made, of two groups' room. Several tiles read a group while the next is
// made, in the other half. One tile has read a vector of pairs when it makes the next group's, which may lie one such
// place lower then: half of L1 is left to what streams by (0.96 × the time of 4 rows).
inline uint16_t* following(uint16_t* group, const PagedScratch& s, int64_t tiles) {
  const int64_t whole = kKeyGroup * s.key_pad, down = tiles == 1 ? kKeyGroup * kBlock : whole;
  return group - s.half_keys >= down ? group - down : s.half_keys + whole;
}

// Scores of tile t. `next`: the tile that follows, whose first group is made, or one without keys.
template <class Pairs = Bf16Pairs>
inline void ready_scores(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                         const PagedTile& next, int64_t rows, Ahead& ahead) {
  if constexpr (kBf16Products) {
    ReadyKeys& ready = *s.ready;
    const int64_t rotated = rotated_vectors(rotated_half(piece)), plain = s.key_pad / kBlock - rotated;
    const int64_t tiles = ready_tiles(rows);
    if (ready.group == nullptr) {
      ready.group = s.half_keys;
      gather_if_needed<Pairs>(piece, at, s, t, 0);
      make_group<Pairs>({piece, at, s, t, 0, 0, ready.group}, rotated, plain);
    }
    for (int64_t j = 0; j < t.count; j += kKeyGroup) {
      const bool inside = j + kKeyGroup < t.count, more = inside || next.count > 0;
      uint16_t* const coming = following(ready.group, s, tiles);
      if (more) gather_if_needed<Pairs>(piece, at, s, inside ? t : next, inside ? j + kKeyGroup : 0);
      for (int64_t i = 0; i < tiles; ++i)
        with_share(i, tiles, more, [&](auto makes) {
          using Makes = decltype(makes);
          const RawGroup<Pairs> group(piece, at, s, inside || !more ? t : next, inside ? j + kKeyGroup : 0,
                                      static_cast<int>(Makes::kKeys * i), coming);
          const auto tile = ready_tile_of<Makes, Pairs>(rows - i * kReadyRows, ahead.into_l1);
          tile(group, s.half_turned + i * kReadyRows * s.key_pad, ready.group,
               s.logits + i * kReadyRows * kPagedTile + j, rotated, plain, ahead);
        });
      ready.group = more ? coming : nullptr;
    }
  }
}

}  // namespace
}  // namespace mfa
