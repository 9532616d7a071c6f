// The one team of threads. OpenMP's own (shared with oneDNN, which uses it too), or std::thread for ThreadSanitizer.
#pragma once

#include <cstdint>
#include <functional>

namespace mfa {

int num_threads();
void set_num_threads(int threads);  // 0: OMP_NUM_THREADS, or one for each core that this process may use

// Runs body(begin, end) over [0, n), cut into one contiguous piece a thread. The cut depends on n and the number of
// threads alone, so that sums done in pieces come out the same on each run. Nested calls run on the calling thread.
void parallel_for(int64_t n, const std::function<void(int64_t begin, int64_t end)>& body);

// Runs body(i, thread) for each i of [0, n). Each thread takes the next i of its own range, then of others' as it becomes
// free. For pieces of unequal cost whose results do not depend on who computes them; neighbours share caches.
void parallel_tasks(int64_t n, const std::function<void(int64_t i, int thread)>& body);

}  // namespace mfa
