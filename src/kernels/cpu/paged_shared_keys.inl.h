// Scores of a tile whose keys hold its values, rotated as they are read where the model wants that (MFA-KR): dims in
// the lanes, a few keys at a time unpacked and rotated into L1, then dot products. (Products in bf16 have another way:
// paged_ready_keys.inl.h.)
#pragma once

#include "kernels/cpu/paged_scores.inl.h"

namespace mfa {
namespace {

// Rows of a block of keys that hold their values, as pairs of vectors. Any type and width, but slow: int8 number by
// number.
struct AnyBlock {
  const KvMatrix& m;
  const std::byte* head;
  int64_t block;
  const float* scales;  // int8: one a token
  void load_row(int64_t row, Vec& x, Vec& y) const {
    load_any(m, head, block, row, x, y);
    if (m.type != DType::i8) return;
    const Vec scale = splat(scales[row]);
    x = x * scale, y = y * scale;
  }
};

// A block of 8-bit rows in groups.
struct Int8Block {
  const int8_t* data;
  int64_t width;
  const float* scales;  // one a token
  void load_row(int64_t row, Vec& x, Vec& y) const {
    constexpr int64_t kTogether = Int8Products::kTogether;
    const int8_t* group = data + row / kTogether * kTogether * width;
    const int i = static_cast<int>(row % kTogether);
    const Vec scale = splat(scales[row]);
    x = Int8Products::number(Int8Products::load(group), i) * scale;
    y = Int8Products::number(Int8Products::load(group + kTogether * kLanes), i) * scale;
  }
};

inline AnyBlock any_block(const KvLayout& at, const PagedScratch& s, const PagedTile& t, int64_t c) {
  return {at.keys, t.head, c / kBlock, s.key_scales + c / KvPoolSpec::kScaleGroup * kPagedTile - t.offset};
}

// f(a function that gives the block of dims [c, c + kBlock)), read as the page's type allows; a whole one (KvMatrix),
// and where it is of one vector, the second is none of its numbers.
template <class F>
inline void with_blocks(const KvLayout& at, const PagedScratch& s, const PagedTile& t, F&& f) {
  const auto data_at = [&](int64_t c) { return t.head + at.keys.at(c / kBlock, 0); };
  const auto width_at = [&](int64_t c) { return at.keys.block_width(c / kBlock); };
  if (at.keys.type == DType::bf16)
    with_bf16_block(at.keys.grouped(), t.head, kBlock, [&](auto first) {
      f([=](int64_t c) {
        auto block = first;
        block.data = reinterpret_cast<const uint16_t*>(data_at(c));
        if constexpr (requires { block.width; }) block.width = width_at(c);
        return block;
      });
    });
  else if (at.keys.type == DType::f32)
    f([&](int64_t c) { return FloatBlock{reinterpret_cast<const float*>(data_at(c)), width_at(c)}; });
  else if (at.keys.grouped())
    f([&](int64_t c) {
      return Int8Block{reinterpret_cast<const int8_t*>(data_at(c)), width_at(c), any_block(at, s, t, c).scales};
    });
  else
    f([&](int64_t c) { return any_block(at, s, t, c); });
}

// The angles of two vectors of pairs; next() walks on by a token, which costs their length no more than a unit in the
// last place.
struct Turning {
  Vec cos[2], sin[2], step_cos[2], step_sin[2];
  Turning(const PagedPiece& piece, const PagedScratch& s, int64_t token, int64_t c) {
    const int64_t half = piece.args->key_cos.cols;
    for (int v = 0; v < 2; ++v, c += kLanes) {
      cos[v] = load(row_of(piece.args->key_cos, token) + c);
      sin[v] = load(row_of(piece.args->key_sin, token) + c);
      step_cos[v] = load(s.step + c);
      step_sin[v] = load(s.step + half + c);
    }
  }
  void next() {
    for (int v = 0; v < 2; ++v) {
      const Vec c = fms(cos[v], step_cos[v], sin[v] * step_sin[v]);
      sin[v] = fma(sin[v], step_cos[v], cos[v] * step_sin[v]);
      cos[v] = c;
    }
  }
};

// Keys [j, j + n) of the tile to [keys][key_pad], rotated by their offsets in the split. `half` whole blocks.
inline void unpack_rotated(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                           int64_t j, int64_t n, Ahead& ahead) {
  const int64_t half = piece.args->key_cos.cols;
  with_blocks(at, s, t, [&](auto block_at) {
    for (int64_t c = 0; c < half; c += kBlock) {
      Turning angle(piece, s, t.in_split + j, c);
      const auto low = block_at(c), high = block_at(c + half);
      float* to = s.block + c;
      ahead.touch(kUnpackParts);
      for (int64_t i = t.offset + j; i < t.offset + j + n; ++i, to += s.key_pad, angle.next()) {
        Vec a[2], b[2];
        low.load_row(i, a[0], a[1]);
        high.load_row(i, b[0], b[1]);
        const Vec *cos = angle.cos, *sin = angle.sin;
        for (int v = 0; v < 2; ++v) {
          store(to + v * kLanes, fms(a[v], cos[v], b[v] * sin[v]));
          store(to + half + v * kLanes, fma(a[v], sin[v], b[v] * cos[v]));
        }
      }
    }
  });
}

inline void unpack_plain(const KvLayout& at, const PagedScratch& s, const PagedTile& t, int64_t j, int64_t n,
                         int64_t from, Ahead& ahead) {
  with_blocks(at, s, t, [&](auto block_at) {
    for (int64_t c = from; c < s.key_pad; c += kBlock) {
      const int64_t width = at.keys.block_width(c / kBlock);
      const auto unpack = [&](const auto& block) {
        for (int64_t i = 0; i < n; ++i) {
          Vec x, y;
          block.load_row(t.offset + j + i, x, y);
          store(s.block + i * s.key_pad + c, x);
          store(s.block + i * s.key_pad + c + kLanes, width > kLanes ? y : zero());
        }
      };
      ahead.touch(kUnpackParts / 2);
      if (at.keys.whole(c / kBlock))
        unpack(block_at(c));
      else
        unpack(any_block(at, s, t, c));
    }
  });
}

// The first 2·half numbers of x to y, rotated by (cos, sin), or back (sign −1); x and y may be the same.
inline void rotate_row(const float* x, float* y, const float* cos, const float* sin, int64_t half, float sign) {
  each_vec(half, [&](int64_t i, auto part) {
    const Vec c = load(cos + i, part), s = load(sin + i, part) * splat(sign);
    const Vec a = load(x + i, part), b = load(x + half + i, part);
    store(y + i, a * c - b * s, part);
    store(y + half + i, a * s + b * c, part);
  });
}

// The rotation by a position: cosines, then sines, to [2·half]. Row 0 of the tables holds their length alone.
inline void load_turn(const PagedPiece& piece, int64_t position, float* to) {
  const Tensor &cosines = piece.args->key_cos, &sines = piece.args->key_sin;
  const int64_t half = cosines.cols;
  each_vec(half, [&](int64_t i, auto part) {
    const Vec inverse = splat(1.0f) / load(row_of(cosines, 0) + i, part);
    store(to + i, load(row_of(cosines, position) + i, part) * inverse, part);
    store(to + half + i, load(row_of(sines, position) + i, part) * inverse, part);
  });
}

// Fetches what load_turn will read: the tables are larger than the caches.
inline void fetch_turn(const PagedPiece& piece, int64_t position) {
  const Tensor &cosines = piece.args->key_cos, &sines = piece.args->key_sin;
  if (position >= cosines.rows) return;
  for (int64_t i = 0; i < cosines.cols; i += 64 / static_cast<int64_t>(sizeof(float))) {
    __builtin_prefetch(row_of(cosines, position) + i);
    __builtin_prefetch(row_of(sines, position) + i);
  }
}

// Queries rotated back by a split's start.
inline void turn_queries(const PagedScratch& s, int64_t half, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* q = s.queries + r * s.key_pad;
    float* to = s.turned + r * s.key_pad;
    rotate_row(q, to, s.block, s.block + half, half, -1);
    for (int64_t c = 2 * half; c < s.key_pad; ++c) to[c] = q[c];
  }
}

// Scores where values live inside keys: dot products. Keys behind the tile's last are what they were; their scores are
// masked or not read.
inline void dot_scores(const PagedPiece& piece, const KvLayout& at, const PagedScratch& s, const PagedTile& t,
                       int64_t rows, Ahead& ahead) {
  const bool rotated = piece.args->key_cos.data != nullptr;
  const int64_t half = rotated ? piece.args->key_cos.cols : 0;
  const bool whole = half % kBlock == 0;
  for (int64_t j = 0; j < t.count; j += kDotKeys) {
    const int64_t n = min_of(kDotKeys, t.count - j);
    if (whole && rotated) unpack_rotated(piece, at, s, t, j, n, ahead);
    unpack_plain(at, s, t, j, n, whole ? 2 * half : 0, ahead);
    for (int64_t i = 0; !whole && i < n; ++i) {
      float* key = s.block + i * s.key_pad;
      rotate_row(key, key, row_of(piece.args->key_cos, t.in_split + j + i),
                 row_of(piece.args->key_sin, t.in_split + j + i), half, 1);
    }
    dot_product(rows, s.key_pad, rotated ? s.turned : s.queries, s.key_pad, s.block, s.key_pad, s.logits + j,
                kPagedTile, ahead);
  }
}

}  // namespace
}  // namespace mfa
