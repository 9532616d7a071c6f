// A progress bar on standard error, and one-line messages that do not tear it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mfa {

// --quiet: no bars, no notes; warnings stay.
void set_quiet(bool quiet);
bool quiet();

void note(std::string_view line);         // to stderr, unless quiet
void warn(std::string_view line);         // to stderr, always, with "warning: " before it
void print_error(std::string_view line);  // to stderr, always, with "error: " before it
void warn_once(std::string_view line);    // each text once a process: for slow paths that apply

// On a terminal: one line, redrawn at most ten times a second: title, bar, percent, ETA, text. Elsewhere: a plain
// line every ten seconds, so that a log stays readable. Not thread-safe: one thread draws.
class Progress {
 public:
  Progress(std::string title, int64_t total, int64_t done = 0);  // `done`: where a resumed run starts
  ~Progress();                                                   // leaves the last line standing
  void update(int64_t done, std::string_view text = {});

 private:
  void draw(bool last);

  std::string title_, text_;
  int64_t total_, start_, done_;
  double began_, drawn_ = 0;
  bool terminal_, finished_ = false;
};

double now_seconds();  // a steady clock

}  // namespace mfa
