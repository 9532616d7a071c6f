// Cutting rows and columns over the thread team, only where that pays.
#pragma once

#include <algorithm>
#include <functional>

#include "base/thread_team.h"

namespace mfa {

// Below this many numbers touched, waking the team (a few microseconds) costs more than it saves.
constexpr int64_t kWorthParallel = 32768;

// body(begin, end) over rows of `cols` numbers each; results must not depend on the cut.
template <class F>
void over_rows(int64_t rows, int64_t cols, const F& body) {
  if (rows <= 0) return;
  if (rows * cols < kWorthParallel) return body(int64_t{0}, rows);
  parallel_for(rows, std::cref(body));  // a reference: std::function then allocates nothing
}

// body(begin, end) over columns, cut at whole cache lines; each column's sum over rows is made by one thread.
template <class F>
void over_columns(int64_t rows, int64_t cols, const F& body) {
  constexpr int64_t kLine = 16;
  if (rows * cols < kWorthParallel || cols < 2 * kLine) return body(int64_t{0}, cols);
  const auto lines = [&](int64_t begin, int64_t end) { body(begin * kLine, std::min(end * kLine, cols)); };
  parallel_for((cols + kLine - 1) / kLine, std::cref(lines));
}

}  // namespace mfa
