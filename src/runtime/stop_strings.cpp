#include "runtime/stop_strings.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace mfa {

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_)
    if (stop.empty()) bad_input("[stop] a stop string is empty, expected some text");
}

size_t StopStrings::may_begin_stop() const {
  size_t most = 0;
  for (const std::string& stop : stops_)
    for (size_t n = std::min(held_.size(), stop.size() - 1); n > most; --n)
      if (held_.ends_with(std::string_view(stop).substr(0, n))) most = n;
  return most;
}

std::string StopStrings::add(std::string_view piece) {
  std::string out;
  if (stopped_) return out;
  for (const char byte : piece) {
    held_ += byte;
    size_t matched = 0;
    for (const std::string& stop : stops_)
      if (held_.ends_with(stop)) matched = std::max(matched, stop.size());
    if (matched > 0) {
      out.append(held_, 0, held_.size() - matched);
      held_.clear();
      stopped_ = true;
      return out;
    }
    const size_t safe = held_.size() - may_begin_stop();
    out.append(held_, 0, safe);
    held_.erase(0, safe);
  }
  return out;
}

std::string StopStrings::end() { return std::exchange(held_, {}); }

}  // namespace mfa
