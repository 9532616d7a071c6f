// Counts the heap allocations of this process, whoever makes them: ours, the C++ library's, OpenMP's. oneDNN makes a
// few small ones in every product that it executes, which no caller can avoid: they are counted apart.
#pragma once

#include <cstdint>

namespace mfa::test {

// Calls of malloc, calloc, realloc and the aligned ones since the start, on all threads. −1 where this build cannot
// count: sanitizers bring their own malloc, and only glibc has the functions that ours stands on.
int64_t allocations();
// Those made while oneDNN executed a primitive.
int64_t allocations_in_onednn();

// Minor page faults of this process, all threads, since the start (getrusage).
int64_t page_faults();

}  // namespace mfa::test
