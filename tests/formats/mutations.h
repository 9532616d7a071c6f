// Damaged copies of a good file, for every reader of files: each must end in BadInput with one line, or in success;
// soon, and without memory in proportion to what the damage claims.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/random.h"

namespace mfa {

// How many damaged files one test tries: 1,000 with MFA_FULL=1 in the environment.
inline int mutations() { return std::getenv("MFA_FULL") != nullptr ? 1000 : 100; }

// Under sanitizers time and memory are not what people see.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kMeasured = false;
#else
inline constexpr bool kMeasured = true;
#endif

// One way of damage or another: cut short, bits flipped, bytes overwritten, numbers raised, parts lost, doubled or
// moved. Half of them strike the first `header` bytes, where structure is densest.
inline std::string damaged(const std::string& good, Random& random, size_t header) {
  std::string bad = good;
  const size_t reach = random.below(2) == 0 ? std::min(header, bad.size()) : bad.size();
  const size_t at = random.below(reach), n = std::min<size_t>(1 + random.below(64), bad.size() - at);
  switch (random.below(8)) {
    case 0:
      return bad.substr(0, random.below(bad.size()));
    case 1:
    case 2:
      bad[at] = static_cast<char>(bad[at] ^ (1 << random.below(8)));
      return bad;
    case 3:
      bad[at] = static_cast<char>(random.below(256));
      return bad;
    case 4:
      for (size_t i = 0; i < std::min<size_t>(n, 8); ++i) bad[at + i] = random.below(2) == 0 ? '\xff' : '\x7f';
      return bad;
    case 5:
      return bad.erase(at, n);
    case 6:
      return bad.insert(at, good, random.below(good.size()), n);
    default:  // the next digit becomes several
      for (size_t i = at; i < bad.size(); ++i) {
        if (bad[i] >= '0' && bad[i] <= '9') return bad.replace(i, 1, random.below(2) == 0 ? "987654321987" : "-7");
      }
      return bad;
  }
}

inline long peak_kilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// A file of `size` bytes that must not open: one line, within 2 s and its own size + 100 MB.
inline void expect_refused_cheaply(size_t size, const std::function<void()>& open) {
  const long before = peak_kilobytes();
  const std::clock_t began = std::clock();
  EXPECT_THROW(open(), BadInput);
  if (!kMeasured) return;
  EXPECT_LT(static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC, 2.0);
  EXPECT_LT(peak_kilobytes() - before, static_cast<long>(size / 1024) + 100 * 1024);
}

// `open` reads the bytes and uses what it read a little.
inline void expect_survives(const std::string& good, uint64_t seed, size_t header,
                            const std::function<void(const std::string&)>& open) {
  const long before = peak_kilobytes();
  Random random(seed);
  int opened = 0, refused = 0;
  double slowest = 0;
  for (int i = 0; i < mutations(); ++i) {
    const std::string bad = damaged(good, random, header);
    const std::clock_t began = std::clock();
    try {
      open(bad);
      ++opened;
    } catch (const BadInput& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      EXPECT_LT(message.size(), 1000u) << message;
      ++refused;
    }
    const double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
    slowest = std::max(slowest, seconds);
    if (kMeasured) {
      EXPECT_LT(seconds, 2.0) << "mutation " << i << " of seed " << seed;
    }
  }
  const long more = peak_kilobytes() - before;
  std::printf("%zu bytes, %d damaged copies: %d opened, %d refused, at most %.3f s of processor time, %ld KB more\n",
              good.size(), mutations(), opened, refused, slowest, more);
  // Were all refused, or none, the damage would be too plain, or the reader blind.
  EXPECT_GT(opened, 0);
  EXPECT_GT(refused, mutations() / 10);
  if (kMeasured) {
    EXPECT_LT(more, static_cast<long>(good.size() / 1024) + 100 * 1024);
  }
}

}  // namespace mfa
