// Text that arrives in pieces, up to the first stop string.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mfa {

// Holds back text while it may still become a stop string, wherever the pieces (tokens) are cut. Works on bytes. Of
// several stop strings the one that is complete first counts; of those that end together the longest.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops);  // BadInput for an empty one

  // Takes a piece; returns the text that can no longer become part of a stop string. Nothing once stopped.
  std::string add(std::string_view piece);
  bool stopped() const { return stopped_; }
  // The end of the text: what was still held back.
  std::string end();

 private:
  size_t may_begin_stop() const;  // bytes at the end of held_ that may grow into a stop string
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace mfa
