#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <set>

namespace mfa {
namespace {

bool g_quiet = false;
bool g_bar_open = false;  // the cursor stands behind a bar: a message must clear the line first

void print_line(std::string_view line) {
  if (g_bar_open) fmt::print(stderr, "\r\033[K");
  fmt::print(stderr, "{}\n", line);
  std::fflush(stderr);
  g_bar_open = false;
}

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace

void set_quiet(bool quiet) { g_quiet = quiet; }
bool quiet() { return g_quiet; }

void note(std::string_view line) {
  if (!g_quiet) print_line(line);
}

void warn(std::string_view line) { print_line(fmt::format("warning: {}", line)); }

void print_error(std::string_view line) {
  std::string text = fmt::format("error: {}", line);
  std::replace(text.begin(), text.end(), '\n', ' ');  // a message may quote a file or a library; one error is one line
  print_line(text);
}

void warn_once(std::string_view line) {
  static std::mutex mutex;
  static std::set<std::string, std::less<>> said;
  const std::lock_guard lock(mutex);
  if (said.emplace(line).second) warn(line);
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Progress::Progress(std::string title, int64_t total, int64_t done)
    : title_(std::move(title)),
      total_(std::max<int64_t>(total, 1)),
      start_(done),
      done_(done),
      began_(now_seconds()),
      terminal_(::isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (!finished_) draw(true);
}

void Progress::update(int64_t done, std::string_view text) {
  done_ = done;
  text_ = text;
  const double now = now_seconds();
  if (now - drawn_ < (terminal_ ? 0.1 : 10.0) && done_ < total_) return;
  drawn_ = now;
  draw(done_ >= total_);
}

void Progress::draw(bool last) {
  if (g_quiet || finished_) return;
  finished_ = last;
  const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
  const double elapsed = now_seconds() - began_;
  const int64_t new_work = done_ - start_;
  const double left = new_work > 0 ? elapsed * static_cast<double>(total_ - done_) / static_cast<double>(new_work) : 0;
  const std::string time = last ? duration(elapsed) : new_work > 0 ? "ETA " + duration(left) : "ETA -";
  if (!terminal_) {
    fmt::print(stderr, "{} {:3.0f} % {} {}\n", title_, 100 * share, time, text_);
  } else {
    constexpr int width = 24;
    const int full = static_cast<int>(share * width);
    std::string bar;
    for (int i = 0; i < width; ++i) bar += i < full ? "█" : "░";
    fmt::print(stderr, "\r\033[K{} {} {:3.0f} % {} {}{}", title_, bar, 100 * share, time, text_, last ? "\n" : "");
  }
  std::fflush(stderr);
  g_bar_open = terminal_ && !last;
}

}  // namespace mfa
