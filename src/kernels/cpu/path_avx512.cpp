// The avx512 path: AVX-512 with F, BW, DQ, VL, BF16 and VNNI (Zen 4/5, Sapphire Rapids). The build gives this file
// alone the flags for it.
#include "kernels/cpu/kernel_table.h"

#ifdef __AVX512F__
#include "kernels/cpu/vec_avx512.h"
//
#include "kernels/cpu/path_kernels.inl.h"

namespace mfa {

const KernelTable* avx512_kernels() {
  static const KernelTable table = make_kernels("avx512");
  return &table;
}

}  // namespace mfa
#else
namespace mfa {

const KernelTable* avx512_kernels() { return nullptr; }

}  // namespace mfa
#endif
