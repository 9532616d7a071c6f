// What one rendering may use. Templates come from strangers: none may loop for ever, nor fill the memory.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace mfa::jinja {

// An error of a template while its place is not known yet; the interpreter adds line and column.
struct Fault {
  std::string message;
};

template <class... Args>
[[noreturn]] void fault(fmt::format_string<Args...> format, Args&&... args) {
  throw Fault{fmt::format(format, std::forward<Args>(args)...)};
}

// Counts steps (an evaluated node, an item of a loop, 64 bytes copied: each within about 0.1 µs) and the bytes that
// live values hold. Objects remember the budget they were charged to; outside a rendering there is none, and nothing
// is counted.
class Budget {
 public:
  Budget(uint64_t steps, uint64_t bytes) : steps_(steps), bytes_(bytes), previous_(current_) { current_ = this; }
  ~Budget() { current_ = previous_; }
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  static Budget* current() { return current_; }

  void work(uint64_t steps) {
    if (steps > steps_) fault("the template does more work than is allowed: does it loop without end?");
    steps_ -= steps;
  }
  void allocate(uint64_t bytes) {
    if (bytes > bytes_) fault("the template makes more data than is allowed");
    bytes_ -= bytes;
  }
  void release(uint64_t bytes) noexcept { bytes_ += bytes; }

 private:
  uint64_t steps_, bytes_;
  Budget* previous_;
  static inline thread_local Budget* current_ = nullptr;
};

inline void charge_steps(uint64_t steps) {
  if (Budget* budget = Budget::current()) budget->work(steps);
}
inline void charge_copy(uint64_t bytes) { charge_steps(1 + bytes / 64); }
inline void charge_scan(uint64_t bytes) { charge_steps(1 + bytes / 8); }  // work on every character

// Bytes charged for as long as this lives.
class Charge {
 public:
  Charge() : budget_(Budget::current()) {}
  explicit Charge(uint64_t bytes) : Charge() { add(bytes); }
  ~Charge() { clear(); }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;
  void add(uint64_t bytes) {
    if (budget_ == nullptr) return;
    budget_->allocate(bytes);
    bytes_ += bytes;
  }
  void clear() noexcept {
    if (budget_ != nullptr) budget_->release(bytes_);
    bytes_ = 0;
  }

 private:
  Budget* budget_;
  uint64_t bytes_ = 0;
};

// Text under construction, charged as it grows.
class Text {
 public:
  void append(std::string_view text) {
    charge_.add(text.size());
    charge_copy(text.size());
    text_.append(text);
  }
  void append(size_t count, char c) {
    charge_.add(count);
    charge_copy(count);
    text_.append(count, c);
  }
  const std::string& view() const { return text_; }
  std::string take() {
    charge_.clear();
    return std::move(text_);
  }

 private:
  Charge charge_;
  std::string text_;
};

}  // namespace mfa::jinja
