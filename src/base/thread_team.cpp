#include "base/thread_team.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>

#ifdef MFA_OPENMP
#include <omp.h>
#else
#include <sched.h>

#include <thread>
#include <vector>
#endif

namespace mfa {
namespace {

// OpenMP's own count, taken once before anyone sets it: with OMP_PROC_BIND the first thread may run on one core alone,
// and its mask would make a team of one.
int default_size() {
#ifdef MFA_OPENMP
  static const int size = std::max(1, omp_get_max_threads());
  return size;
#else
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
#endif
}

int& team_size() {
  static int size = default_size();
  return size;
}

// Calls member(0) .. member(size - 1), each on a thread of its own; without a team inside another team.
void run_team(int size, const std::function<void(int)>& member) {
#ifdef MFA_OPENMP
  if (size <= 1 || omp_in_parallel()) {
    for (int t = 0; t < size; ++t) member(t);
    return;
  }
#pragma omp parallel num_threads(size)
  {
    // OpenMP may give fewer threads than asked for; every member runs all the same.
    for (int t = omp_get_thread_num(); t < size; t += omp_get_num_threads()) member(t);
  }
#else
  static thread_local bool inside = false;
  if (size <= 1 || inside) {
    for (int t = 0; t < size; ++t) member(t);
    return;
  }
  std::vector<std::thread> threads;
  for (int t = 1; t < size; ++t)
    threads.emplace_back([&member, t] {
      inside = true;
      member(t);
    });
  inside = true;
  member(0);
  inside = false;
  for (std::thread& thread : threads) thread.join();
#endif
}

}  // namespace

int num_threads() { return team_size(); }

void set_num_threads(int threads) {
  team_size() = threads > 0 ? threads : default_size();
#ifdef MFA_OPENMP
  omp_set_num_threads(team_size());
#endif
}

void parallel_for(int64_t n, const std::function<void(int64_t, int64_t)>& body) {
  const int64_t pieces = std::min<int64_t>(n, num_threads());
  if (pieces <= 0) return;
  const auto member = [&](int t) { body(n * t / pieces, n * (t + 1) / pieces); };
  run_team(static_cast<int>(pieces), std::cref(member));  // a reference: std::function then allocates nothing
}

void parallel_tasks(int64_t n, const std::function<void(int64_t, int)>& body) {
  // A range for each thread, so that it goes on in memory where it was; who has finished helps the others.
  struct alignas(64) Range {
    std::atomic<int64_t> next;
    int64_t end;
  };
  constexpr int kMostRanges = 64;
  std::array<Range, kMostRanges> ranges;
  const int threads = static_cast<int>(std::min<int64_t>(n, num_threads())), count = std::min(threads, kMostRanges);
  for (int r = 0; r < count; ++r) {
    ranges[static_cast<size_t>(r)].next = n * r / count;
    ranges[static_cast<size_t>(r)].end = n * (r + 1) / count;
  }
  const auto member = [&](int t) {
    for (int k = 0; k < count; ++k) {
      Range& range = ranges[static_cast<size_t>((t + k) % count)];
      for (int64_t i = range.next++; i < range.end; i = range.next++) body(i, t);
    }
  };
  run_team(threads, std::cref(member));
}

}  // namespace mfa
