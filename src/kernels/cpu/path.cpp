// Which path this process runs.
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "kernels/cpu/kernel_table.h"

namespace mfa {
namespace {

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
#else
  return false;
#endif
}

bool has_avx512() {
#if defined(__x86_64__)
  return has_avx2() && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512bf16") != 0 && __builtin_cpu_supports("avx512vnni") != 0;
#else
  return false;
#endif
}

const KernelTable* find_kernels(std::string_view path) {
  if (path == "avx512") return avx512_kernels();
  if (path == "avx2") return avx2_kernels();
  return path == "plain" ? &plain_kernels() : nullptr;
}

}  // namespace

bool cpu_can_run(std::string_view path) {
  if (path == "avx512") return has_avx512() && avx512_kernels() != nullptr;
  if (path == "avx2") return has_avx2() && avx2_kernels() != nullptr;
  return path == "plain";
}

const KernelTable& choose_kernels() {
  const char* forced = std::getenv("MFA_CPU_PATH");
  if (forced != nullptr && *forced != '\0') {
    const std::string path = forced;
    if (path != "avx512" && path != "avx2" && path != "plain")
      bad_input("[cpu] unknown MFA_CPU_PATH, got {}, expected avx512, avx2 or plain", path);
    if (!cpu_can_run(path)) bad_input("[cpu] MFA_CPU_PATH={}, but this CPU lacks instructions that it needs", path);
    return *find_kernels(path);
  }
  for (const std::string_view path : {"avx512", "avx2"})
    if (cpu_can_run(path)) return *find_kernels(path);
  return plain_kernels();
}

bool fetches_into_l1() {
#ifdef _SC_LEVEL1_DCACHE_SIZE
  static const bool large = sysconf(_SC_LEVEL1_DCACHE_SIZE) >= 48 << 10;
  return large;
#else
  return false;
#endif
}

}  // namespace mfa
