// Inference: packed weights, cache pages, and how paged attention is handed to the threads.
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/kv_append.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/paged_schedule.h"

namespace mfa {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct CpuWeight final : PackedWeight {
  Pages memory;  // panels as in LinearPiece, the last one padded with zeros
  DType storage = DType::f32;
  int64_t panels = 0, panel_numbers = 0;
  explicit CpuWeight(size_t size) : memory(size) {}
  size_t bytes() const override { return memory.bytes(); }
};

struct CpuKvPool final : KvPool {
  static constexpr size_t kReadBeyond = 64;  // what kernels may read behind the last page (KvMatrix::whole)
  Pages memory;
  CpuKvPool(const KvPoolSpec& spec, size_t size) : KvPool(spec), memory(size + kReadBeyond) {}
  size_t bytes() const override { return memory.bytes() - kReadBeyond; }
};

float number_at(const Tensor& w, int64_t r, int64_t c) {
  return w.type == DType::bf16 ? to_float(w.row<bf16>(r)[c]) : w.row<float>(r)[c];
}

// a · b · c · … of sizes, or BadInput where that does not fit in 62 bits.
int64_t checked_product(const char* where, std::initializer_list<int64_t> sizes) {
  int64_t product = 1;
  for (const int64_t size : sizes) {
    if (size < 0 || (size > 0 && product > (int64_t{1} << 62) / size))
      bad_input("[{}] size, got a product of sizes beyond 62 bits or a negative one ({})", where, size);
    product *= size;
  }
  return product;
}

void check_paged(const PagedAttentionArgs& args) {
  const KvPoolSpec& spec = args.pool->spec();
  if (args.n_heads < 1 || args.n_heads % spec.kv_heads != 0 || args.q.cols != args.n_heads * spec.key_dim ||
      args.out.cols != args.n_heads * spec.value_dim)
    bad_input("[paged attention] q has {} and out {} columns, expected {} heads of {} and {}", args.q.cols,
              args.out.cols, args.n_heads, spec.key_dim, spec.value_dim);
  for (const PagedSequence& sequence : args.sequences) {
    const int64_t end = sequence.first_position + sequence.n_rows;
    if (sequence.first_row < 0 || sequence.n_rows < 0 || sequence.first_row + sequence.n_rows > args.q.rows)
      bad_input("[paged attention] rows {} + {}, expected at most {}", sequence.first_row, sequence.n_rows,
                args.q.rows);
    const int64_t pages = ceil_div(end, spec.page_tokens);
    if (sequence.first_position < 0 || pages > static_cast<int64_t>(sequence.pages.size()))
      bad_input("[paged attention] {} pages, expected {} for {} positions", sequence.pages.size(), pages, end);
    if (args.key_cos && (args.key_cos.rows < end || 2 * args.key_cos.cols > spec.key_dim))
      bad_input("[paged attention] rotation table is {} x {}, expected {} positions and at most {} pairs",
                args.key_cos.rows, args.key_cos.cols, end, spec.key_dim / 2);
    for (int64_t i = 0; i < pages; ++i)
      if (sequence.pages[static_cast<size_t>(i)] < 0 || sequence.pages[static_cast<size_t>(i)] >= spec.pages)
        bad_input("[paged attention] page {}, expected less than {}", sequence.pages[static_cast<size_t>(i)],
                  spec.pages);
  }
}

// The blocks of rows of a call, each with the splits that its rows see.
void find_pieces(const PagedAttentionArgs& args, int64_t block_rows, std::vector<PagedPiece>& pieces) {
  const auto& pool = static_cast<const CpuKvPool&>(*args.pool);
  const KvPoolSpec& spec = pool.spec();
  const int64_t group_heads = args.n_heads / spec.kv_heads, positions = paged_split_tokens(spec.page_tokens);
  pieces.clear();
  for (const PagedSequence& sequence : args.sequences) {
    const int64_t rows = sequence.n_rows * group_heads;
    for (int64_t head = 0; head < spec.kv_heads; ++head) {
      for (int64_t row = 0; row < rows; row += block_rows) {
        PagedPiece piece{.args = &args,
                         .memory = pool.memory.data(),
                         .spec = spec,
                         .pages = sequence.pages.data(),
                         .first_row = sequence.first_row,
                         .first_position = sequence.first_position,
                         .kv_head = head,
                         .row_begin = row,
                         .row_end = std::min(rows, row + block_rows),
                         .split_tokens = positions};
        const int64_t first = sequence.first_position + row / group_heads;
        const int64_t last = sequence.first_position + (piece.row_end - 1) / group_heads;
        piece.split_begin = args.window > 0 ? std::max<int64_t>(0, first - args.window + 1) / positions : 0;
        piece.split_end = last / positions + 1;
        pieces.push_back(piece);
      }
    }
  }
}

}  // namespace

std::unique_ptr<PackedWeight> CpuDevice::pack_weight(Tensor w, DType storage) {
  if (storage != DType::f32 && storage != DType::bf16)
    bad_input("[pack weight] storage, got {}, expected f32 or bf16", name_of(storage));
  if (w.type != DType::f32 && w.type != DType::bf16)
    bad_input("[pack weight] type, got {}, expected f32 or bf16", name_of(w.type));
  const int64_t width = kernels_.panel_width, panels = ceil_div(w.rows, width);
  const int64_t together = storage == DType::bf16 && kernels_.bf16_products ? 2 : 1,
                rows = ceil_div(w.cols, together) * together;
  const int64_t size = checked_product("pack weight", {panels, rows, width, static_cast<int64_t>(size_of(storage))});
  auto packed = std::make_unique<CpuWeight>(static_cast<size_t>(size));
  packed->out = w.rows;
  packed->in = w.cols;
  packed->storage = storage;
  packed->panels = panels;
  packed->panel_numbers = rows * width;
  over_rows(panels, w.cols * width, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      for (int64_t j = 0; j < std::min(width, w.rows - panel * width); ++j) {
        for (int64_t c = 0; c < w.cols; ++c) {
          const int64_t at = panel * rows * width + (c / together * width + j) * together + c % together;
          const float x = number_at(w, panel * width + j, c);
          if (storage == DType::bf16)
            reinterpret_cast<bf16*>(packed->memory.data())[at] = to_bf16(x);
          else
            reinterpret_cast<float*>(packed->memory.data())[at] = x;
        }
      }
    }
  });
  return packed;
}

// x in bf16, with a zero behind each row where the products want whole pairs.
Tensor CpuDevice::rounded_rows(Tensor x) {
  const int64_t stride = ceil_div(x.cols, 2) * 2;
  Tensor rounded{reinterpret_cast<std::byte*>(scratch_.floats(static_cast<size_t>(x.rows * stride / 2))), DType::bf16,
                 x.rows, x.cols, stride};
  convert(rounded, x);
  if (stride > x.cols)
    for (int64_t r = 0; r < x.rows; ++r) rounded.row<uint16_t>(r)[x.cols] = 0;
  return rounded;
}

void CpuDevice::linear(Tensor x, const PackedWeight& w, Tensor y) {
  const auto& weight = static_cast<const CpuWeight&>(w);
  if (x.cols != w.in || y.cols != w.out || x.rows != y.rows)
    bad_input("[linear] {} x {} into {} x {}, expected a weight of {} x {}", x.rows, x.cols, y.rows, y.cols, w.out,
              w.in);
  if (x.rows == 0) return;
  const bool bf16_products = multiplies_bf16() && weight.storage == DType::bf16;
  const Tensor operand = bf16_products ? rounded_rows(x) : x;
  const auto piece_of_rows = [&](int64_t begin, int64_t end) {
    return LinearPiece{.weight = weight.memory.data(),
                       .storage = weight.storage,
                       .in = w.in,
                       .out = w.out,
                       .panel_begin = 0,
                       .panel_end = weight.panels,
                       .panel_numbers = weight.panel_numbers,
                       .bf16_products = bf16_products,
                       .x = operand.slice_rows(begin, end - begin).data,
                       .y = y.row<float>(begin),
                       .x_row = operand.stride,
                       .y_row = y.stride,
                       .rows = end - begin};
  };
  // Many rows: each thread takes some of them and all weights. Few: all rows, and some of the weights.
  constexpr int64_t kManyRows = 48;
  if (x.rows >= kManyRows * num_threads()) {
    over_rows(x.rows, w.in * w.out, [&](int64_t begin, int64_t end) { kernels_.linear(piece_of_rows(begin, end)); });
    return;
  }
  constexpr int64_t kTogether = 4;  // panels that the kernel takes at a time
  over_rows(ceil_div(weight.panels, kTogether), kTogether * kernels_.panel_width * w.in * x.rows,
            [&](int64_t begin, int64_t end) {
              LinearPiece piece = piece_of_rows(0, x.rows);
              piece.panel_begin = begin * kTogether;
              piece.panel_end = std::min(weight.panels, end * kTogether);
              kernels_.linear(piece);
            });
}

std::unique_ptr<KvPool> CpuDevice::make_kv_pool(const KvPoolSpec& spec) {
  if (spec.type != DType::f32 && spec.type != DType::bf16 && spec.type != DType::i8)
    bad_input("[kv pool] type, got {}, expected f32, bf16 or i8", name_of(spec.type));
  if (spec.kv_heads < 1 || spec.key_dim < 1 || spec.value_dim < 1 || spec.page_tokens < 1 || spec.pages < 0 ||
      spec.pages > std::numeric_limits<int32_t>::max() || (spec.value_in_key && spec.value_dim > spec.key_dim))
    bad_input("[kv pool] {} heads, dims {} and {}, {} pages of {} tokens: not a pool", spec.kv_heads, spec.key_dim,
              spec.value_dim, spec.pages, spec.page_tokens);
  const int64_t numbers = checked_product("kv pool", {spec.kv_heads, spec.key_dim + spec.value_dim});
  checked_product("kv pool", {numbers, 4, spec.page_tokens, spec.pages});
  return std::make_unique<CpuKvPool>(spec, static_cast<size_t>(spec.bytes_per_token() * spec.page_tokens * spec.pages));
}

void CpuDevice::kv_append(KvPool& pool, Tensor k, Tensor v, std::span<const int64_t> slots) {
  const KvPoolSpec& spec = pool.spec();
  std::byte* const memory = static_cast<CpuKvPool&>(pool).memory.data();
  const int64_t tokens = spec.page_tokens;
  if (k.cols != spec.kv_heads * spec.key_dim || static_cast<int64_t>(slots.size()) > k.rows ||
      (!spec.value_in_key && (v.cols != spec.kv_heads * spec.value_dim || v.rows < static_cast<int64_t>(slots.size()))))
    bad_input("[kv append] k is {} x {} and v {} x {}, expected {} heads of {} and {} for {} slots", k.rows, k.cols,
              v.rows, v.cols, spec.kv_heads, spec.key_dim, spec.value_dim, slots.size());
  for (const int64_t slot : slots)
    if (slot < 0 || slot >= spec.pages * tokens)
      bad_input("[kv append] slot {}, expected less than {}", slot, spec.pages * tokens);
  const KvLayout at(spec, kernels_.pages);
  const bool rotated = stores_rotated(spec);
  constexpr int64_t kNumberCost = 8;  // in numbers of ordinary work: many lie in a cache line of their own
  const auto append = [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t page = slots[static_cast<size_t>(r)] / tokens, token = slots[static_cast<size_t>(r)] % tokens;
      for (int64_t h = 0; h < spec.kv_heads; ++h) {
        std::byte* const head = memory + (page * spec.kv_heads + h) * at.head_bytes;
        append_vector(kernels_, k.row<float>(r) + h * spec.key_dim, spec.key_dim,
                      {head, at.keys, at.key_scales(0), token, spec.value_in_key, rotated});
        if (!spec.value_in_key)
          append_vector(kernels_, v.row<float>(r) + h * spec.value_dim, spec.value_dim,
                        {head, at.values, at.value_scales(0), token, true, rotated});
      }
    }
  };
  over_rows(static_cast<int64_t>(slots.size()), kNumberCost * spec.numbers_per_token(), append);
}

void CpuDevice::attention_paged(const PagedAttentionArgs& args) {
  check_paged(args);
  find_pieces(args, kernels_.paged_rows, paged_pieces_);
  const KvPoolSpec& spec = args.pool->spec();
  const bool bf16_products =
      multiplies_bf16() && (spec.type == DType::bf16 || (spec.type == DType::i8 && spec.value_in_key));
  const uint16_t* angles = bf16_products && args.key_cos ? paged_angles(args) : nullptr;
  for (PagedPiece& piece : paged_pieces_) {
    piece.bf16_products = bf16_products;
    piece.angles = angles;
    piece.fetch_into_l1 = fetches_into_l1();
  }
  // Few blocks of rows (decode): their splits are done apart, then folded. Many: each block folds as it goes. Both fold
  // the same numbers in the same order.
  if (splits_apart(static_cast<int64_t>(paged_pieces_.size()), num_threads()))
    paged_apart(args);
  else
    paged_together(args);
}

// The rotations by the offsets in a split that some sequence reaches.
const uint16_t* CpuDevice::paged_angles(const PagedAttentionArgs& args) {
  const int64_t split = paged_split_tokens(args.pool->spec().page_tokens);
  int64_t tokens = 0;
  for (const PagedSequence& sequence : args.sequences)
    tokens = std::max(tokens, std::min(split, sequence.first_position + sequence.n_rows));
  return angles_.get(kernels_, args.key_cos, args.key_sin, split, tokens);
}

void CpuDevice::paged_together(const PagedAttentionArgs& args) {
  const int64_t scratch = kernels_.paged_scratch(args.pool->spec());
  const int64_t state = kernels_.paged_state(args.pool->spec(), kernels_.paged_rows);
  float* const memory = scratch_.floats(static_cast<size_t>(num_threads() * (scratch + state)));
  const auto task = [&](int64_t i, int thread) {
    PagedPiece piece = paged_pieces_[static_cast<size_t>(i)];
    piece.scratch = memory + thread * (scratch + state);
    piece.states = piece.scratch + scratch;
    kernels_.paged_splits(piece);
    kernels_.paged_finish(piece, 0, piece.row_end - piece.row_begin);
  };
  parallel_tasks(static_cast<int64_t>(paged_pieces_.size()), std::cref(task));
}

void CpuDevice::paged_apart(const PagedAttentionArgs& args) {
  const KvPoolSpec& spec = args.pool->spec();
  const auto state_of = [&](const PagedPiece& piece) {
    return (piece.split_end - piece.split_begin) * kernels_.paged_state(spec, piece.row_end - piece.row_begin);
  };
  int64_t floats = 0;
  split_tasks_.clear();
  for (size_t i = 0; i < paged_pieces_.size(); ++i) {
    floats += state_of(paged_pieces_[i]);
    for (int64_t split = paged_pieces_[i].split_begin; split < paged_pieces_[i].split_end; ++split)
      split_tasks_.push_back({i, split});
  }
  const auto splits = static_cast<int64_t>(split_tasks_.size());
  split_folded_.assign(split_tasks_.size(), 0);
  float* states = states_.floats(static_cast<size_t>(floats));
  const uint8_t* folded = split_folded_.data();
  for (PagedPiece& piece : paged_pieces_) {
    piece.states = states;
    piece.folded = folded;
    states += state_of(piece);
    folded += piece.split_end - piece.split_begin;
  }
  const int64_t scratch = kernels_.paged_scratch(spec);
  float* const memory = scratch_.floats(static_cast<size_t>(num_threads() * scratch));
  last_split_.assign(static_cast<size_t>(num_threads()), -1);
  const auto task = [&](int64_t i, int thread) {
    const auto at = static_cast<size_t>(i);
    const SplitTask& here = split_tasks_[at];
    PagedPiece piece = paged_pieces_[here.piece];
    piece.scratch = memory + thread * scratch;
    int64_t& last = last_split_[static_cast<size_t>(thread)];
    piece.continues = i > 0 && last == i - 1 && split_tasks_[at - 1].piece == here.piece;
    last = i;
    // Folded where this thread did all of the run so far.
    split_folded_[at] = piece.continues && !begins_run(here.split) &&
                        (begins_run(here.split - 1) || here.split - 1 == piece.split_begin || split_folded_[at - 1]);
    kernels_.paged_split_apart(piece, here.split);
  };
  if (splits * paged_split_tokens(spec.page_tokens) * spec.key_dim < kWorthParallel)
    for (int64_t i = 0; i < splits; ++i) task(i, 0);
  else
    parallel_tasks(splits, std::cref(task));
  for (const PagedPiece& piece : paged_pieces_) finish_piece(piece);
}

// Numbers of states that all threads fold: each then reads what the others wrote. Two threads of Zen 5 on the states of
// 64 splits: 0.99 × the time of 64 heads over 32k tokens, but 1.02 × of 16.
constexpr int64_t kWorthFoldingTogether = 1 << 19;

void CpuDevice::finish_piece(const PagedPiece& piece) {
  const int64_t rows = piece.row_end - piece.row_begin, splits = piece.split_end - piece.split_begin;
  const auto finish = [&](int64_t begin, int64_t end) { kernels_.paged_finish(piece, begin, end); };
  const auto left = splits - std::count(piece.folded, piece.folded + splits, uint8_t{1});
  if (rows * left * piece.spec.value_dim < kWorthFoldingTogether)
    finish(0, rows);
  else
    parallel_for(rows, std::cref(finish));
}

}  // namespace mfa
