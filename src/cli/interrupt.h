// Ctrl-C while text is being generated ends the text, not the program.
#pragma once

#include <csignal>

namespace mfa {

// While one of these lives, the first Ctrl-C is remembered and the second ends the program as usual. One at a time.
class InterruptScope {
 public:
  InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
  ~InterruptScope();
  bool interrupted() const;

 private:
  struct sigaction before_ {};
};

}  // namespace mfa
