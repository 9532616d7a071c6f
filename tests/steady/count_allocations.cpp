#include "steady/count_allocations.h"

#include <dlfcn.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace {
std::atomic<int64_t> g_allocations{0}, g_in_onednn{0};
std::atomic<bool> g_inside_onednn{false};

void note_allocation() { ++(g_inside_onednn ? g_in_onednn : g_allocations); }
}  // namespace

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MFA_COUNTS_ALLOCATIONS
// oneDNN's own function, reached through this one: a program's definition goes before a shared library's.
extern "C" int dnnl_primitive_execute(const void* primitive, void* stream, int count, const void* arguments) {
  using Execute = int (*)(const void*, void*, int, const void*);
  static const auto execute = reinterpret_cast<Execute>(dlsym(RTLD_NEXT, "dnnl_primitive_execute"));
  g_inside_onednn = true;
  const int status = execute(primitive, stream, count, arguments);
  g_inside_onednn = false;
  return status;
}

// glibc lets a program define these; its own are reached by their second names.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) {
  note_allocation();
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  note_allocation();
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  note_allocation();
  return __libc_realloc(memory, size);
}
void* memalign(size_t alignment, size_t size) {
  note_allocation();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  note_allocation();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  note_allocation();
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
}
#endif

namespace mfa::test {

int64_t allocations() {
#ifdef MFA_COUNTS_ALLOCATIONS
  return g_allocations;
#else
  return -1;
#endif
}

int64_t allocations_in_onednn() { return g_in_onednn; }

int64_t page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

}  // namespace mfa::test
