// Errors that a person sees: `[where] what, got X, expected Y`. `assert` is for our own mistakes only.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace mfa {

// `message` with control characters written as \x0a, cut where it is long: a file's own words may stand in it.
std::string one_line(std::string_view message);

// Base of every error that the command line turns into one line and an exit status.
class Error : public std::runtime_error {
 public:
  Error(int exit_status, const std::string& message)
      : std::runtime_error(one_line(message)), exit_status_(exit_status) {}
  int exit_status() const { return exit_status_; }

 private:
  int exit_status_;
};

// Bad input from a person or a file (exit status 2).
class BadInput : public Error {
 public:
  explicit BadInput(const std::string& message) : Error(2, message) {}
};

// The input was right but the work could not be done: disk full, NaN loss (exit status 1).
class Failure : public Error {
 public:
  explicit Failure(const std::string& message) : Error(1, message) {}
};

template <class... Args>
[[noreturn]] void bad_input(fmt::format_string<Args...> format, Args&&... args) {
  throw BadInput(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Failure(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace mfa
