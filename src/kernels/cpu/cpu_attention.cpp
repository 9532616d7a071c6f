// Training attention: how groups (one KV head of one sequence) and their blocks of rows are handed to the threads.
#include "base/error.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/parallel_rows.h"

namespace mfa {
namespace {

int64_t groups_of(const AttentionShape& shape) { return shape.sequences * shape.kv_heads; }

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Into how many parts backward cuts the rows of a group. By the shape alone, and not by the number of threads: each
// part has its own sums of dK and dV, so the cut decides the order of summation.
int64_t backward_parts(const AttentionShape& shape, int64_t blocks) {
  constexpr int64_t kTasks = 16, kBlocksWorthATask = 4;
  return std::clamp<int64_t>(kTasks / groups_of(shape), 1, std::max<int64_t>(1, blocks / kBlocksWorthATask));
}

void check_attention(const AttentionArgs& args, size_t needed) {
  const AttentionShape& s = args.shape;
  const int64_t rows = s.sequences * s.tokens;
  if (s.kv_heads < 1 || s.n_heads % s.kv_heads != 0 || s.key_dim < 1 || s.value_dim < 1)
    bad_input("[attention] {} heads on {} KV heads, dims {} and {}", s.n_heads, s.kv_heads, s.key_dim, s.value_dim);
  if (args.q.rows != rows || args.q.cols != s.n_heads * s.key_dim || args.k.rows != rows ||
      args.k.cols != s.kv_heads * s.key_dim || args.v.rows != rows || args.v.cols != s.kv_heads * s.value_dim ||
      args.out.rows != rows || args.out.cols != s.n_heads * s.value_dim)
    bad_input("[attention] q, k, v or out do not have the shape that AttentionShape gives");
  if (static_cast<size_t>(args.scratch.size()) < needed)
    bad_input("[attention] scratch, got {} bytes, expected {} (attention_scratch, for this number of threads)",
              args.scratch.size(), needed);
}

}  // namespace

size_t CpuDevice::attention_scratch(const AttentionShape& shape) const {
  if (groups_of(shape) == 0 || shape.tokens == 0) return 0;
  const int64_t threads = num_threads();
  const int64_t parts = backward_parts(shape, kernels_.attention_blocks(shape));
  const int64_t partials = parts == 1 ? threads : groups_of(shape) * parts;
  const int64_t forward = threads * kernels_.attention_forward_scratch(shape);
  const int64_t backward =
      threads * kernels_.attention_backward_scratch(shape) + partials * kernels_.attention_partial(shape);
  return static_cast<size_t>(std::max(forward, backward)) * sizeof(float);
}

void CpuDevice::attention_forward(const AttentionArgs& args) {
  if (args.shape.sequences == 0 || args.shape.tokens == 0) return;
  check_attention(args, attention_scratch(args.shape));
  const int64_t groups = groups_of(args.shape), blocks = kernels_.attention_blocks(args.shape);
  const int64_t scratch_floats = kernels_.attention_forward_scratch(args.shape);
  // Whole groups while there are plenty, so that keys are packed once; the cut changes no result.
  const int64_t threads = num_threads();
  const int64_t pieces = threads == 1 || groups >= 8 * threads ? 1 : std::min(blocks, ceil_div(8 * threads, groups));
  packed_group_.assign(static_cast<size_t>(threads), -1);
  const auto task = [&](int64_t i, int thread) {
    const int64_t group = i / pieces, piece = pieces - 1 - i % pieces;  // late rows see most keys: first
    float* scratch = reinterpret_cast<float*>(args.scratch.data) + thread * scratch_floats;
    int64_t& packed = packed_group_[static_cast<size_t>(thread)];
    kernels_.attention_forward(args, group, blocks * piece / pieces, blocks * (piece + 1) / pieces, scratch,
                               packed == group, multiplies_bf16());
    packed = group;
  };
  parallel_tasks(groups * pieces, std::cref(task));
}

void CpuDevice::attention_backward(const AttentionGradArgs& args) {
  const AttentionShape& shape = args.forward.shape;
  if (shape.sequences == 0 || shape.tokens == 0) return;
  check_attention(args.forward, attention_scratch(shape));
  const int64_t groups = groups_of(shape);
  const int64_t parts = backward_parts(shape, kernels_.attention_blocks(shape));
  const int64_t scratch_floats = kernels_.attention_backward_scratch(shape);
  const int64_t partial_floats = kernels_.attention_partial(shape);
  float* const memory = reinterpret_cast<float*>(args.forward.scratch.data);
  float* const partials = memory + num_threads() * scratch_floats;
  const auto task = [&](int64_t i, int thread) {
    float* partial = partials + (parts == 1 ? thread : i) * partial_floats;
    kernels_.attention_backward(args, i / parts, i % parts, parts, memory + thread * scratch_floats, partial,
                                multiplies_bf16());
    if (parts == 1) kernels_.attention_reduce(args, i, 1, partial, 0, shape.tokens);
  };
  parallel_tasks(groups * parts, std::cref(task));
  if (parts == 1) return;
  for (int64_t group = 0; group < groups; ++group)
    over_rows(shape.tokens, parts * (shape.key_dim + shape.value_dim), [&](int64_t begin, int64_t end) {
      kernels_.attention_reduce(args, group, parts, partials + group * parts * partial_floats, begin, end);
    });
}

}  // namespace mfa
