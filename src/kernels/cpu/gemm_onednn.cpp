// oneDNN's matrix product. All that differs between its versions 2 and 3 is in this file.
#include <algorithm>
#include <atomic>
#include <dnnl.hpp>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_team.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/memory.h"

namespace mfa {
namespace {

using Memory = dnnl::memory;

struct GemmKey {
  int64_t m, n, k, lda, ldb, ldc;
  int threads;  // a primitive sizes its scratch for the team that it was made for
  bool transpose_a, transpose_b, accumulate, bf16;
  bool packs_b;   // puts b in the order that the product reads
  DType given_b;  // b as the caller holds it
  bool operator==(const GemmKey&) const = default;
};

struct HashGemmKey {
  size_t operator()(const GemmKey& key) const {
    uint64_t h = 1469598103934665603u;
    const int64_t flags = key.transpose_a | key.transpose_b << 1 | key.accumulate << 2 | key.bf16 << 3 |
                          (key.given_b == DType::bf16) << 4 | key.packs_b << 5;
    for (const int64_t x : {key.m, key.n, key.k, key.lda, key.ldb, key.ldc, int64_t{key.threads}, flags})
      h = (h ^ static_cast<uint64_t>(x)) * 1099511628211u;
    return h ^ h >> 29;
  }
};

// A matrix of `rows` × `cols` whose transpose lies in memory if `transpose`.
Memory::desc describe(int64_t rows, int64_t cols, int64_t stride, bool transpose, Memory::data_type type) {
  return Memory::desc({rows, cols}, type, transpose ? Memory::dims{1, stride} : Memory::dims{stride, 1});
}

// A reorder of some columns of b.
struct Packing {
  dnnl::reorder reorder;
  Memory from, to;
};

Packing pack_columns(const dnnl::engine& engine, const Memory::desc& from, const Memory::desc& to, int64_t k,
                     int64_t begin, int64_t end) {
  Packing columns{.reorder = {},
                  .from = Memory(from.submemory_desc({k, end - begin}, {0, begin}), engine, nullptr),
                  .to = Memory(to.submemory_desc({k, end - begin}, {0, begin}), engine, nullptr)};
  columns.reorder = dnnl::reorder(columns.from, columns.to);
  return columns;
}

// A reorder that ends within a block of columns takes two to four times as long for all of them (oneDNN 2.6): what is
// left over is put in order by itself. Where 64 columns are not whole blocks, oneDNN refuses, and all are in one.
std::vector<Packing> pack_all_columns(const dnnl::engine& engine, const Memory::desc& from, const Memory::desc& to,
                                      int64_t k, int64_t n) {
  const int64_t whole = n / 64 * 64;
  if (whole > 0 && whole < n) try {
      return {pack_columns(engine, from, to, k, 0, whole), pack_columns(engine, from, to, k, whole, n)};
    } catch (const dnnl::error&) {
    }
  return {pack_columns(engine, from, to, k, 0, n)};
}

// A product of many rows is cut into pieces, which threads take as they become free: cut evenly beforehand, they wait
// for the slowest. A 14m step takes 0.96 × the time where somebody else wants a fifth of one of two cores, 1.0 × where
// nobody does. A piece reads all of b, so that smaller ones take longer (bf16, Zen 5: 128 rows 1.02 ×, 64 rows 1.04 ×).
constexpr int64_t kPieceRows = 256, kPiecesAThread = 2;

// Rows of a piece, so that all are alike; 0: not to be cut.
int64_t piece_rows(int64_t m, int threads) {
  for (int64_t rows = kPieceRows; rows <= 2 * kPieceRows; rows += 64)
    if (m % rows == 0 && m / rows >= kPiecesAThread * threads) return rows;
  return 0;
}

// One thread's operands of the piece that it computes.
struct Member {
  dnnl::stream stream;
  Memory a, b, c, scratchpad;
  std::unique_ptr<Scratch> room = std::make_unique<Scratch>();
};

struct Pieces {
  dnnl::matmul primitive;
  int64_t rows = 0;  // 0: the product is not cut
  std::vector<Member> members;
};

struct CachedProduct {
  dnnl::matmul primitive;
  Memory a, b, c;  // only the pointers change from call to call
  // bf16, and f32 that several products share: b, from numbers as the caller holds them, rounded and put in the order
  // that the product reads, in one pass. Given rows as they come, a product takes 1 to 15 % longer to put them in order
  // itself.
  std::vector<Packing> packing;  // of all its columns
  Memory::desc packed_layout;
  size_t packed_floats = 0;  // room for it; 0: b is read as it lies
  Pieces pieces;
};

bool same_view(const Tensor& x, const Tensor& y) {
  return x.data == y.data && x.type == y.type && x.rows == y.rows && x.cols == y.cols && x.stride == y.stride;
}

// What was last made of a shared b, in this order.
struct SharedOperand {
  explicit SharedOperand(const Memory::desc& order) : layout(order) {}
  bool holds_b_of(const MatmulArgs& args) const { return same_view(b, args.b) && transposed == args.transpose_b; }
  Memory::desc layout;
  Tensor b;
  bool transposed = false;
  Scratch packed;
};

dnnl::matmul::primitive_desc make_description(const dnnl::engine& engine, const Memory::desc& a, const Memory::desc& b,
                                              const Memory::desc& c, const dnnl::primitive_attr& attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl::matmul::primitive_desc(engine, a, b, c, attributes);
#else
  return dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), attributes, engine);
#endif
}

}  // namespace

struct Gemm::Engine {
  const KernelTable& kernels;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::unordered_map<GemmKey, CachedProduct, HashGemmKey> products;
  Scratch scratch_a, scratch_b, scratch_turned;
  Tensor last_a, last_converted_a;
  std::list<SharedOperand> shared;  // few: one a layout

  CachedProduct& product(const GemmKey& key) {
    const auto found = products.find(key);
    if (found != products.end()) return found->second;
    const auto type = key.bf16 ? Memory::data_type::bf16 : Memory::data_type::f32;
    const auto a = describe(key.m, key.k, key.lda, key.transpose_a, type);
    const auto given_type = key.given_b == DType::bf16 ? Memory::data_type::bf16 : Memory::data_type::f32;
    const auto given_b = describe(key.k, key.n, key.ldb, key.transpose_b, given_type);
    const auto b = key.packs_b ? Memory::desc({key.k, key.n}, type, Memory::format_tag::any) : given_b;
    const auto c = describe(key.m, key.n, key.ldc, false, Memory::data_type::f32);
    dnnl::primitive_attr attributes;
    if (key.accumulate) {
      dnnl::post_ops add;
      add.append_sum(1.0f);
      attributes.set_post_ops(add);
    }
    const auto description = make_description(engine, a, b, c, attributes);
    CachedProduct made{.primitive = dnnl::matmul(description),
                       .a = Memory(a, engine, nullptr),
                       .b = Memory(description.weights_desc(), engine, nullptr),
                       .c = Memory(c, engine, nullptr),
                       .packing = {},
                       .packed_layout = description.weights_desc(),
                       .packed_floats = 0};
    if (made.packed_layout != given_b) {
      made.packing = pack_all_columns(engine, given_b, made.packed_layout, key.k, key.n);
      made.packed_floats = made.packed_layout.get_size() / sizeof(float) + 1;
      if (key.threads > 1 && !key.transpose_a && piece_rows(key.m, key.threads) > 0)
        made.pieces = cut(key, type, description, attributes);
    }
    return products.emplace(key, std::move(made)).first->second;
  }

  // Pieces of the product that `whole` describes, with the same order of b; none where oneDNN would compute them in
  // another way, which may be its reference, or where each would put b in an order of its own first, as all but brgemm
  // do.
  Pieces cut(const GemmKey& key, Memory::data_type type, const dnnl::matmul::primitive_desc& whole,
             dnnl::primitive_attr attributes) {
    const int64_t rows = piece_rows(key.m, key.threads);
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // its own is one for all threads
    set_num_threads(1);
    Pieces pieces;
    try {
      const auto one = make_description(engine, describe(rows, key.k, key.lda, false, type), whole.weights_desc(),
                                        describe(rows, key.n, key.ldc, false, Memory::data_type::f32), attributes);
      const std::string kind = one.impl_info_str();
      if (kind == whole.impl_info_str() && kind.starts_with("brg")) {
        pieces.primitive = dnnl::matmul(one);
        pieces.rows = rows;
        pieces.members.resize(static_cast<size_t>(key.threads));
        for (Member& member : pieces.members) {
          member.stream = dnnl::stream(engine);
          member.a = Memory(one.src_desc(), engine, nullptr);
          member.b = Memory(one.weights_desc(), engine, nullptr);
          member.c = Memory(one.dst_desc(), engine, nullptr);
          const size_t bytes = one.scratchpad_desc().get_size();
          member.scratchpad = Memory(one.scratchpad_desc(), engine, member.room->floats(bytes / sizeof(float) + 1));
        }
      }
    } catch (const dnnl::error&) {
      pieces = {};
    }
    set_num_threads(key.threads);
    return pieces;
  }

  void execute_pieces(CachedProduct& product, const Tensor& a, const Tensor& c) {
    Pieces& pieces = product.pieces;
    std::atomic<bool> failed = false;  // an exception must not leave the team
    const auto body = [&](int64_t i, int thread) {
      Member& member = pieces.members[static_cast<size_t>(thread)];
      member.a.set_data_handle(a.slice_rows(i * pieces.rows, pieces.rows).data);
      member.b.set_data_handle(product.b.get_data_handle());
      member.c.set_data_handle(c.slice_rows(i * pieces.rows, pieces.rows).data);
      const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, member.a.get()},
                                           {DNNL_ARG_WEIGHTS, member.b.get()},
                                           {DNNL_ARG_DST, member.c.get()},
                                           {DNNL_ARG_SCRATCHPAD, member.scratchpad.get()}};
      if (dnnl_primitive_execute(pieces.primitive.get(), member.stream.get(), 4, arguments) != dnnl_success)
        failed = true;
    };
    parallel_tasks(c.rows / pieces.rows, std::cref(body));
    if (failed) throw dnnl::error(dnnl_runtime_error, "could not execute a piece of the product");
  }

  // Where products of this layout keep a b that they share. A new `first` forgets what was made of this b before.
  SharedOperand& shared_operand(const CachedProduct& product, const MatmulArgs& args) {
    for (SharedOperand& operand : shared)
      if (args.reuse_b == Reuse::first && operand.holds_b_of(args)) operand.b = {};
    const auto found = std::find_if(shared.begin(), shared.end(), [&](const SharedOperand& operand) {
      return operand.layout == product.packed_layout;
    });
    return found != shared.end() ? *found : shared.emplace_back(product.packed_layout);
  }

  // b of a product that reads it packed.
  void provide_b(CachedProduct& product, const MatmulArgs& args) {
    if (args.reuse_b == Reuse::no) return pack(product, args.b, scratch_b);
    SharedOperand& operand = shared_operand(product, args);
    if (operand.holds_b_of(args)) return product.b.set_data_handle(operand.packed.floats(product.packed_floats));
    operand.b = {};
    pack(product, args.b, operand.packed);
    operand.b = args.b;
    operand.transposed = args.transpose_b;
  }

  void pack(CachedProduct& product, const Tensor& b, Scratch& place) {
    product.b.set_data_handle(place.floats(product.packed_floats));
    for (Packing& part : product.packing) {
      part.from.set_data_handle(b.data);
      part.to.set_data_handle(product.b.get_data_handle());
      const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, part.from.get()}, {DNNL_ARG_TO, part.to.get()}};
      dnnl::error::wrap_c_api(dnnl_primitive_execute(part.reorder.get(), stream.get(), 2, arguments),
                              "could not pack an operand");
    }
  }

  // op(a) as a product reads it: numbers of its type, and whether they lie transposed.
  struct OperandA {
    Tensor x;
    bool transposed;
  };

  // a of this type, or what was made of it in the call before. One that must be rounded is turned along the way.
  OperandA converted_a(const MatmulArgs& args, DType type, Precision precision) {
    if (args.same_a && same_view(args.a, last_a)) return {last_converted_a, args.transpose_a};
    last_a = args.a;
    if (args.transpose_a && type == DType::bf16 && args.a.type == DType::f32)
      return {rounded_and_turned(args.a), false};
    last_converted_a = converted(args.a, type, precision, scratch_a);
    return {last_converted_a, args.transpose_a};
  }

  // x^T in bf16; x as it is becomes last_converted_a.
  Tensor rounded_and_turned(const Tensor& x) {
    // A line beyond the row: rows a power of two apart would share few sets of the cache.
    Tensor turned{nullptr, DType::bf16, x.cols, x.rows, x.rows + 32};
    turned.data = reinterpret_cast<std::byte*>(scratch_turned.floats(static_cast<size_t>(x.cols * turned.stride)));
    last_converted_a = {nullptr, DType::bf16, x.rows, x.cols, x.cols};
    last_converted_a.data = reinterpret_cast<std::byte*>(scratch_a.floats(static_cast<size_t>(x.size())));
    const int64_t step = 2 * kernels.lanes;
    const auto body = [&](int64_t begin, int64_t end) {
      kernels.round_both_ways(x, last_converted_a.ptr<uint16_t>(), turned.ptr<uint16_t>(), turned.stride, begin * step,
                              std::min(end * step, x.rows));
    };
    parallel_for((x.rows + step - 1) / step, std::ref(body));
    return turned;
  }

  // An operand as numbers of this type, rounded to bf16 if the precision is that; copied without gaps if it is not yet.
  Tensor converted(const Tensor& x, DType type, Precision precision, Scratch& scratch) {
    if (x.type == type && (type == DType::bf16 || precision == Precision::f32)) return x;
    Tensor out{nullptr, type, x.rows, x.cols, x.cols};
    out.data = reinterpret_cast<std::byte*>(scratch.floats(static_cast<size_t>(x.size())));
    const auto body = [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        if (x.type == DType::bf16)
          kernels.bf16_to_f32(x.row<uint16_t>(r), out.row<float>(r), x.cols);
        else if (type == DType::bf16)
          kernels.f32_to_bf16(x.row<float>(r), out.row<uint16_t>(r), x.cols);
        else
          kernels.round_to_bf16(x.row<float>(r), out.row<float>(r), x.cols);
      }
    };
    parallel_for(x.rows, std::ref(body));
    return out;
  }
};

Gemm::Gemm(const KernelTable& kernels) : engine_(new Engine{.kernels = kernels}) {}
Gemm::~Gemm() = default;

bool Gemm::reads_bf16() const { return engine_->kernels.bf16_products; }

void Gemm::multiply(const MatmulArgs& args, Precision precision) {
  const bool native = precision == Precision::bf16 && reads_bf16();
  if (precision == Precision::bf16 && !native)
    warn_once("this CPU has no bf16 products: --precision bf16 is emulated, and f32 is faster");
  const auto [a, a_transposed] = engine_->converted_a(args, native ? DType::bf16 : DType::f32, precision);
  const Tensor b = native ? args.b : engine_->converted(args.b, DType::f32, precision, engine_->scratch_b);
  const int64_t m = args.c.rows, n = args.c.cols, k = a_transposed ? a.rows : a.cols;
  // The stride of a single row is never used, but oneDNN wants it to cover the row.
  const auto stride = [](const Tensor& t) { return t.rows <= 1 ? t.cols : t.stride; };
  const GemmKey key{m,
                    n,
                    k,
                    stride(a),
                    stride(b),
                    stride(args.c),
                    num_threads(),
                    a_transposed,
                    args.transpose_b,
                    args.accumulate,
                    native,
                    native || (args.reuse_b != Reuse::no && precision == Precision::f32 && args.b.type == b.type),
                    b.type};
  try {
    CachedProduct& product = engine_->product(key);
    product.a.set_data_handle(a.data);
    if (product.packed_floats > 0)
      engine_->provide_b(product, args);
    else
      product.b.set_data_handle(b.data);
    if (product.pieces.rows > 0) return engine_->execute_pieces(product, a, args.c);
    product.c.set_data_handle(args.c.data);
    // The C function takes an array; the C++ one would build a map and a vector a call.
    const dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, product.a.get()}, {DNNL_ARG_WEIGHTS, product.b.get()}, {DNNL_ARG_DST, product.c.get()}};
    dnnl::error::wrap_c_api(dnnl_primitive_execute(product.primitive.get(), engine_->stream.get(), 3, arguments),
                            "could not execute the product");
    engine_->stream.wait();
  } catch (const dnnl::error& error) {
    fail("[matmul] oneDNN refused the product of {} x {} by {} x {}: {}", m, k, k, n, error.what());
  }
}

bool has_int8_product() { return true; }

void multiply_int8(int64_t m, int64_t n, int64_t k, const uint8_t* a, const int8_t* b, int32_t* c) {
  const int32_t zero = 0;
  if (dnnl::gemm_u8s8s32('N', 'N', 'F', m, n, k, 1.0f, a, k, 0, b, n, 0, 0.0f, c, n, &zero) != dnnl::status::success)
    fail("[matmul] oneDNN refused the 8-bit product of {} x {} by {} x {}", m, k, k, n);
}

}  // namespace mfa
