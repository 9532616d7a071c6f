// What the tests of this room share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace mfa {

// A folder of its own for each test, gone afterwards.
class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("mfa_formats_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

// Expects BadInput whose message holds `part`.
inline void expect_bad_input(const std::function<void()>& work, const std::string& part) {
  try {
    work();
    ADD_FAILURE() << "no error, expected one with: " << part;
  } catch (const BadInput& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what() << "\nexpected: " << part;
  }
}

inline std::string fixture(const std::string& name) { return read_file(fs::path(MFA_FIXTURES) / name); }

}  // namespace mfa
