// Scores in bf16 of a tile whose keys hold its values, rotated as they are read where the model wants that (MFA-KR).
//
// Values want dims in the lanes, so a page has them there, in pairs of keys. Scores want pairs of dims, and sums across
// lanes cost more than the products of a few rows. So a group of 16 keys is made ready in L1: pairs of keys become
// pairs of dims, those are rotated, and quarters of vectors are exchanged, so that a vector holds four pairs of dims of
// each of four keys. A score is the sum of a quarter then, and a fold of four vectors gives the scores of 16 keys.
//
// A last block of one vector, and halves that end within a vector (48 dims: 24), do not pair as they lie: such keys are
// gathered first, at two loads and two stores for 16 dims of four keys.
//
// Keys are made ready step by step between the products of the group before, a step after each row, also across tiles:
// shifts, shuffles and roundings run beside products, as long as they are spread evenly (all at once: 1.15 × the time
// of 16 rows).
//
// Angles are read from a table of offsets in a split, 4·half bytes each (AngleTable): R(start + offset) = R(start)
// R(offset), and R(start) turns the queries. bf16 angles are off by 2^-9 of a number at most, as bf16 keys are.
//
// Measured on Zen 4 out of L2: the scores of a key of 256 dims take 78, 162, 561 cycles with 4, 16, 64 rows, of which
// 32, 128, 512 are products of queries and 16 of angles. Every operation of 512 bits takes one of two pairs of units
// for a cycle, so that with few rows their number is the bound: 48 products, 8 shifts and 8 blends (exchange of pairs),
// 8 permutations and 8 xors (quarter turns), 8 roundings of two each, 8 shuffles (quarters). Tried, without gain: sums
// across all lanes and no exchange of quarters (1.1 ×), shifts by loads from odd addresses (1.0 ×), quarters exchanged
// by partial stores or by partial loads (1.1 ×), quarter turns from the table (1.2 × with 4 rows in place: twice the
// bytes in L2), one angle for two keys 8 tokens apart with queries turned for either (1.05 ×: queries twice in L1),
// with 4 rows one angle for the four keys of a vector (0.95 × out of L2, no gain in place), both keys of a pair by two
// byte permutations (1.06 ×), keys transposed whole to the lanes of a vector (1.13, 1.08, 1.07 ×), pages three or four
// ahead (1.02 – 1.1 ×) or touched group by group (1.0 ×), with 4 rows half of the making beside the products of values
// (0.92 × out of L2, 1.08 × in place, where keys of a whole tile wait in L2), splits of 256 or 1,024 tokens (1.0 ×),
// each line of a page touched once only (1.17 ×: a prefetch is dropped where the queue of misses is full), pairs of
// keys swapped in half of the page's dims, so that one blend does for a shift and a blend (1.0 ×), tiles of 32 keys
// (1.1 ×), angles fetched past L1 (1.0 ×), loops aligned to 32 or 64 bytes (1.0 ×).
#pragma once

#include "kernels/cpu/paged_shared_keys.inl.h"

namespace mfa {
namespace {

constexpr int64_t kQuarter = kBlock / 4;  // numbers: kLanes / 4 pairs
static_assert(kKeyGroup == 4 * 4);        // four vectors of four quarters: key 4l + j is quarter l of vector j
constexpr int kQuarterRows = 4;           // 4 rows × 16 keys: 16 sums, which leaves registers to make keys ready

inline int64_t rotated_vectors(int64_t half) { return (half + kLanes - 1) / kLanes; }

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

inline int64_t rotated_half(const PagedPiece& piece) {
  return piece.args->key_cos.data == nullptr ? 0 : piece.args->key_cos.cols;
}

// Whether this way can be taken: whole groups of keys, whole vectors of dims, and rotated halves of whole vectors, or
// that end in the middle of one if they are all of the key.
inline bool readies_keys(const PagedPiece& piece, const KvLayout& at) {
  const int64_t half = rotated_half(piece), dims = at.keys.outer;
  return piece.bf16_products && at.tokens % kKeyGroup == 0 && dims % kLanes == 0 &&
         (half % kLanes == 0 || (half % (kLanes / 2) == 0 && 2 * half == dims));
}
inline bool gathers_keys(const KvLayout& at) { return at.keys.outer % kBlock != 0; }

// The two vectors of 16 dims that pair u takes: dims [u, u + kLanes) and those `half` behind them while pairs are
// rotated, then the two vectors of each block.
struct PairOfVectors {
  int64_t first, second;
  PairOfVectors(int64_t u, int64_t half)
      : first(u < rotated_vectors(half) ? u : 2 * u),
        second(u < rotated_vectors(half) ? half / kLanes + u : 2 * u + 1) {}
};

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

// The group of keys at `token`, in vectors that pair as they lie, to s.gathered:
// [key_pad / kBlock][kKeyGroup / 2][2][kBlock]. A vector without a partner is its own, where the query has zeros.
template <class Pairs>
inline void gather_group(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                         int64_t token) {
  const int64_t half = rotated_half(piece), last = at.keys.outer / kLanes - 1;
  for (int64_t u = 0; u < s.key_pad / kBlock; ++u) {
    const PairOfVectors of(u, half);
    const bool across = half % kLanes != 0;
    for (int64_t i = 0; i < kKeyGroup; i += 2) {
      const auto raw = [&](int64_t vector) {
        const int64_t v = min_of(vector, last);
        const std::byte* row = t.head + at.keys.at(v / 2, t.offset + token + i);
        return Pairs::load(reinterpret_cast<const uint16_t*>(row) + v % 2 * kBlock);
      };
      uint16_t* to = s.gathered + (u * kKeyGroup + i) * kBlock;
      Pairs::store(to, raw(of.first));
      Pairs::store(to + kBlock, across ? Pairs::across(raw(of.second), raw(of.second + 1)) : raw(of.second));
    }
  }
}

// Pairs u of a query, rotated back by `turn`, cosines and sines, where pairs are rotated.
template <class Pairs>
inline typename Pairs::Pair query_pairs(const float* q, int64_t u, int64_t half, const float* turn) {
  if (u * kLanes >= half) return Pairs::interleave(Pairs::join(load(q + u * kBlock), load(q + u * kBlock + kLanes)));
  q += u * kLanes, turn += u * kLanes;
  const int64_t rest = half - u * kLanes;
  const auto turned = [&](Vec cos, Vec sin) {
    const Vec a = load(q), b = load(q + half);
    return Pairs::join(fma(a, cos, b * sin), fms(b, cos, a * sin));
  };
  if (rest >= kLanes) return turned(load(turn), load(turn + half));
  return turned(load(turn, Part{rest}), load(turn + half, Part{rest}));
}

// Queries rotated back by the split's start (s.block), in the order of the pairs, to s.half_turned:
// [rows / kQuarterRows][key_pad / kBlock][kQuarterRows][kBlock]. Rows beyond the last are what they were, and so are
// their scores, which nobody reads.
template <class Pairs = Bf16Pairs>
inline void pair_queries(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, int64_t rows) {
  if constexpr (kBf16Products) {
    const int64_t half = rotated_half(piece);
    pair_dims(s, at, half);
    for (int64_t u = 0; u < s.key_pad / kBlock; ++u) {
      const float* q = s.queries;
      for (int64_t r = 0; r < rows; ++r, q += s.key_pad) {
        const int64_t to = (r / kQuarterRows * s.key_pad + u * kBlock) * kQuarterRows + r % kQuarterRows * kBlock;
        Pairs::store(s.half_turned + to, query_pairs<Pairs>(q, u, half, s.block));
      }
    }
  }
}

// g++ would gather the steps of an unrolled loop, and keep more numbers at once than there are registers.
inline void keep_order() { asm volatile(""); }

// Vectors of pairs of up to eight keys on their way: of keys 4l + j and, behind them, of keys 4l + j + 1.
template <class Pairs>
struct InWork {
  typename Pairs::Pair key[2][2];     // of an even and an odd l
  Vec low[2][2], high[2][2];          // the same rotated, not yet rounded: the first and the second dims of the pairs
  typename Pairs::Pair halves[2][4];  // of l = 0 and 1 the first halves, of 2 and 3; then the second halves
  typename Pairs::Pair quarters[2][2];
};

// A group of keys on its way from `keys`, the page's or gathered ones, to
// [key_pad / kBlock][4 quarters][4 vectors][kBlock], a vector of pairs at a time; vectors of keys j are counted from
// `first`.
template <class Pairs>
struct RawGroup {
  using Pair = typename Pairs::Pair;
  const uint16_t* keys;
  const int64_t* pairs;
  const uint16_t* angles;  // anything where no key is rotated
  uint16_t* to;

  RawGroup(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t, int64_t token,
           int64_t first, uint16_t* group)
      : keys((gathers_keys(at) ? s.gathered
                               : reinterpret_cast<const uint16_t*>(t.head + at.keys.at(0, t.offset + token))) +
             first / 2 * 2 * kBlock),
        pairs(s.pairs),
        angles(piece.angles != nullptr ? piece.angles : group),
        to(group + first * kBlock) {
    angles += ((t.in_split + token) * rotated_vectors(rotated_half(piece)) + first * 4) * kBlock;
  }
  void next() {
    pairs += 2;
    angles += kKeyGroup * kBlock;
    to += kKeyGroup * kBlock;
  }

  // Step 0 … kSteps − 1 towards the vectors of the keys [kBegin, kEnd) of each pair of keys: 4l + j is the first key.
  static constexpr int kSteps = 16;
  template <bool kRotated, int kBegin, int kEnd>
  void make(int step, int j, InWork<Pairs>& w) const {
    const int l = step / 3;
    if (step < 12 && step % 3 == 0) pair_up<kBegin, kEnd>(keys + (l * 4 + j) * kBlock, l % 2, w);
    for (int k = kBegin; k < kEnd; ++k) {
      const int vector = j + k - kBegin;
      if (step >= 12)
        exchange_quarters(step - 12, to + vector * kBlock, w.halves[k], w.quarters[k]);
      else if (step % 3 == 1 && kRotated)
        turn(angles + (vector * 4 + l) * kBlock, w.key[k][l % 2], w.low[k][l % 2], w.high[k][l % 2]);
      else if (step % 3 == 2 && l % 2 == 1)
        exchange_halves<kRotated>(l / 2, k, w);
    }
  }

 private:
  template <int kBegin, int kEnd>
  void pair_up(const uint16_t* row, int odd, InWork<Pairs>& w) const {
    const Pair a = Pairs::load_once(row + pairs[0]), b = Pairs::load_once(row + pairs[1]);
    // The next vector of pairs into L1: the CPU does not foresee jumps from block to block.
    __builtin_prefetch(row + pairs[2], 0, 3);
    __builtin_prefetch(row + pairs[3], 0, 3);
    if (kBegin == 0) w.key[0][odd] = Pairs::firsts(a, b);
    if (kEnd == 2) w.key[1][odd] = Pairs::seconds(a, b);
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
  static void exchange_quarters(int step, uint16_t* out, const Pair (&halves)[4], Pair (&quarters)[2]) {
    const int m = step / 2 * 2;
    if (step % 2 == 0) return Pairs::split_quarters(halves[m], halves[m + 1], quarters[0], quarters[1]);
    for (int i = 0; i < 2; ++i) Pairs::store(out + (m + i) * 4 * kBlock, quarters[i]);
  }
};

// What a tile of products makes of the next group meanwhile, at step `step` of a vector of pairs: nothing, or one, two
// or all four of the vectors of keys. kTouches: how often a quarter of the steps touches memory ahead, in proportion to
// its time.
struct MakesNone {
  static constexpr int kVectors = 0, kTouches = 2;
  template <bool kRotated, class Pairs>
  static void make(const RawGroup<Pairs>&, int, InWork<Pairs>&) {}
};
template <bool kSecond>
struct MakesOne {
  static constexpr int kVectors = 1, kTouches = 2;
  template <bool kRotated, class Pairs>
  static void make(const RawGroup<Pairs>& group, int step, InWork<Pairs>& w) {
    group.template make<kRotated, kSecond, kSecond + 1>(step, 0, w);
  }
};
struct MakesTwo {
  static constexpr int kVectors = 2, kTouches = 2;
  template <bool kRotated, class Pairs>
  static void make(const RawGroup<Pairs>& group, int step, InWork<Pairs>& w) {
    group.template make<kRotated, 0, 2>(step, 0, w);
  }
};
struct MakesAll {
  static constexpr int kVectors = 4, kTouches = 8;
  template <bool kRotated, class Pairs>
  static void make(const RawGroup<Pairs>& group, int step, InWork<Pairs>& w) {
    const int j = step / 8 * 2;
    group.template make<kRotated, 0, 2>(step % 8 * 2, j, w);
    keep_order();
    group.template make<kRotated, 0, 2>(step % 8 * 2 + 1, j, w);
  }
};

// f(the making that tile i of `tiles` does).
template <class F>
inline void with_share(int64_t i, int64_t tiles, bool more, F&& f) {
  if (!more || i >= 4 || (i >= 2 && tiles < 4)) return f(MakesNone{});
  if (tiles == 1) return f(MakesAll{});
  if (tiles < 4) return f(MakesTwo{});
  if (i % 2 == 0) return f(MakesOne<false>{});
  f(MakesOne<true>{});
}

// One vector of pairs: quarter by quarter, row by row, a step of making after each.
template <class Makes, bool kRotated, class Pairs>
inline void quarter_steps(RawGroup<Pairs>& group, const uint16_t* a, const uint16_t* keys, Vec (&sum)[kQuarterRows][4],
                          AheadInTile& soon) {
  InWork<Pairs> work;
#pragma GCC unroll 4
  for (int m = 0; m < 4; ++m) {
    for (int i = 0; i < Makes::kTouches; ++i) soon.touch();
    typename Pairs::Pair key[4];
    for (int j = 0; j < 4; ++j) key[j] = Pairs::load(keys + (m * 4 + j) * kBlock);
#pragma GCC unroll 4
    for (int i = 0; i < kQuarterRows; ++i) {
      const auto av = Pairs::splat_quarter(a + i * kBlock + m * kQuarter);
      for (int j = 0; j < 4; ++j) sum[i][j] = Pairs::add(av, key[j], sum[i][j]);
      keep_order();
      Makes::template make<kRotated>(group, m * kQuarterRows + i, work);
      keep_order();
    }
  }
  group.next();
}

// c[row][key] of kQuarterRows rows and the keys of a group, in rotated + plain vectors of pairs, while `from` is made.
// Not inlined: beside each other, its kinds leave g++ too few registers. `from` by reference: g++ copies an argument
// with wider loads than it was stored with, and each tile waits for that (1.06 × the time of 16 rows).
template <class Makes, class Pairs>
[[gnu::noinline]] void quarter_tile(const RawGroup<Pairs>& from, const uint16_t* a, const uint16_t* keys, float* c,
                                    int64_t rotated, int64_t plain, Ahead& ahead) {
  RawGroup<Pairs> group = from;
  Vec sum[kQuarterRows][4];
#pragma GCC unroll 4
  for (int i = 0; i < kQuarterRows; ++i)
    for (int j = 0; j < 4; ++j) sum[i][j] = zero();
  AheadInTile soon(ahead, 4 * Makes::kTouches * (rotated + plain));
  for (; rotated > 0; --rotated, a += kQuarterRows * kBlock, keys += kKeyGroup * kBlock)
    quarter_steps<Makes, true, Pairs>(group, a, keys, sum, soon);
  for (; plain > 0; --plain, a += kQuarterRows * kBlock, keys += kKeyGroup * kBlock)
    quarter_steps<Makes, false, Pairs>(group, a, keys, sum, soon);
#pragma GCC unroll 4
  for (int i = 0; i < kQuarterRows; ++i) Pairs::store_quarter_sums(c + i * kPagedTile, sum[i]);
}

inline int64_t quarter_tiles(int64_t rows) { return (rows + kQuarterRows - 1) / kQuarterRows; }

// For Ahead: parts of the scores of a page.
inline int64_t ready_parts(int64_t tokens, int64_t key_pad, int64_t rows) {
  const int64_t touches = quarter_tiles(rows) == 1 ? MakesAll::kTouches : MakesNone::kTouches;
  return tokens / kKeyGroup * quarter_tiles(rows) * (key_pad / kQuarter) * touches / kPart;
}

// A vector of pairs of a group that no tile made. Unrolled, or what is on its way lies in memory (4 × the time).
template <bool kRotated, class Pairs>
inline void make_vector(RawGroup<Pairs>& group) {
  InWork<Pairs> work;
#pragma GCC unroll 16
  for (int i = 0; i < RawGroup<Pairs>::kSteps; ++i) {
    MakesAll::make<kRotated>(group, i, work);
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
    const int64_t tiles = quarter_tiles(rows);
    const auto gather = [&](const PagedTile& from, int64_t token) {
      if (gathers_keys(at)) gather_group<Pairs>(piece, at, s, from, token);
    };
    if (ready.group == nullptr) {
      ready.group = s.half_keys;
      gather(t, 0);
      make_group<Pairs>({piece, at, s, t, 0, 0, ready.group}, rotated, plain);
    }
    for (int64_t j = 0; j < t.count; j += kKeyGroup) {
      const bool inside = j + kKeyGroup < t.count, more = inside || next.count > 0;
      uint16_t* const coming = following(ready.group, s, tiles);
      if (more) gather(inside ? t : next, inside ? j + kKeyGroup : 0);
      for (int64_t i = 0; i < tiles; ++i)
        with_share(i, tiles, more, [&](auto makes) {
          using Makes = decltype(makes);
          const RawGroup<Pairs> group(piece, at, s, inside || !more ? t : next, inside ? j + kKeyGroup : 0,
                                      Makes::kVectors * i, coming);
          quarter_tile<Makes, Pairs>(group, s.half_turned + i * kQuarterRows * s.key_pad, ready.group,
                                     s.logits + i * kQuarterRows * kPagedTile + j, rotated, plain, ahead);
        });
      ready.group = more ? coming : nullptr;
    }
  }
}

}  // namespace
}  // namespace mfa
