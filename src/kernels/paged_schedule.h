// How decoding's attention is cut into tasks for the threads. The CPU device follows it, predictions count by it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace mfa {

// Tokens of a page of the engine's caches.
constexpr int64_t kCachePageTokens = 64;

// Rows of a block: (token, query head) pairs of one KV head that meet its keys together.
constexpr int64_t kMostPagedRows = 96;

// Positions of a split: whole pages, at least 512 positions. Fixed by the pool, since splits decide the order of sums.
constexpr int64_t paged_split_tokens(int64_t page_tokens) {
  return (512 + page_tokens - 1) / page_tokens * page_tokens;
}

// Splits of a run, counted from position 0: their sums are folded in order, then those of the runs. A thread that does
// a run's splits one after the other folds while the sums are in its caches; what it leaves is folded at the end.
constexpr int64_t kRunSplits = 8;
constexpr bool begins_run(int64_t split) { return split % kRunSplits == 0; }

// Few blocks of rows (decode): their splits are tasks of their own, folded afterwards. Many: a block is a task.
constexpr bool splits_apart(int64_t blocks, int64_t threads) { return blocks < 4 * threads && threads > 1; }

// Cached tokens that the busiest thread meets, where `blocks` blocks see `tokens` tokens each.
constexpr int64_t busiest_thread_tokens(int64_t blocks, int64_t tokens, int64_t split, int64_t threads) {
  if (threads == 1) return blocks * tokens;
  if (!splits_apart(blocks, threads)) return (blocks + threads - 1) / threads * tokens;
  const int64_t whole = blocks * (tokens / split), rest = tokens % split, rests = rest > 0 ? blocks : 0;
  const int64_t rounds = whole / threads, idle = whole % threads == 0 ? 0 : threads - whole % threads;
  // Threads without a whole split in the last round take rests meanwhile.
  const int64_t left = rest > 0 ? std::max<int64_t>(0, rests - idle * (split / rest)) : 0;
  return (rounds + (idle > 0 ? 1 : 0)) * split + (left + threads - 1) / threads * rest;
}

}  // namespace mfa
