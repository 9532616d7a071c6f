// The plain path: any CPU.
#include "kernels/cpu/vec_plain.h"
//
#include "kernels/cpu/path_kernels.inl.h"

namespace mfa {

const KernelTable& plain_kernels() {
  static const KernelTable table = make_kernels("plain");
  return table;
}

}  // namespace mfa
