#include "base/available_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace mfa {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// "MemAvailable:   12345 kB"
int64_t system_memory(const std::string& what) {
  std::ifstream file("/proc/meminfo");
  std::string word;
  int64_t kib;
  while (file >> word)
    if (word == what && file >> kib) return kib * 1024;
  return kNoLimit;
}

std::optional<int64_t> number_in(const char* path) {  // the file may say "max"
  std::ifstream file(path);
  int64_t value;
  return file >> value ? std::optional(value) : std::nullopt;
}

int64_t group_memory() {
  const auto limit = number_in("/sys/fs/cgroup/memory.max"), used = number_in("/sys/fs/cgroup/memory.current");
  return limit && used ? std::max<int64_t>(0, *limit - *used) : kNoLimit;
}

}  // namespace

int64_t available_memory() { return std::min(system_memory("MemAvailable:"), group_memory()); }

int64_t total_memory() {
  const int64_t most = std::min(system_memory("MemTotal:"), number_in("/sys/fs/cgroup/memory.max").value_or(kNoLimit));
  return most == kNoLimit ? 0 : most;
}

}  // namespace mfa
