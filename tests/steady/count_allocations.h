// Counts every heap allocation of this process, whoever makes it: ours, the C++ library's, OpenMP's and oneDNN's.
#pragma once

#include <cstdint>

namespace mfa::test {

// Calls of malloc, calloc, realloc and the aligned ones since the start, on all threads. −1 where this build cannot
// count: sanitizers bring their own malloc, and only glibc has the functions that ours stands on.
int64_t allocations();

// Minor page faults of this process, all threads, since the start (getrusage).
int64_t page_faults();

}  // namespace mfa::test
