// The avx2 path: AVX2 and FMA (Zen 1–3, most desktops and laptops). The build gives this file alone the flags for it.
#include "kernels/cpu/kernel_table.h"

#ifdef __AVX2__
#include "kernels/cpu/vec_avx2.h"
//
#include "kernels/cpu/path_kernels.inl.h"

namespace mfa {

const KernelTable* avx2_kernels() {
  static const KernelTable table = make_kernels("avx2");
  return &table;
}

}  // namespace mfa
#else
namespace mfa {

const KernelTable* avx2_kernels() { return nullptr; }

}  // namespace mfa
#endif
