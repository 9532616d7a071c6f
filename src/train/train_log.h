// The log of a training run: one JSON object a line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace mfa {

// Each line is in the file when append() returns. Objects that belong to a step say so in `step`.
class TrainLog {
 public:
  // A new run (`resumed_step` < 0) starts an empty log. A resumed run goes on: lines with a step beyond
  // `resumed_step`, which it will do again, are dropped, and so is a last line cut short by a crash; lines without a
  // step stay. BadInput if the file cannot be written or another line is no JSON.
  TrainLog(const std::filesystem::path& path, int64_t resumed_step);
  TrainLog(const TrainLog&) = delete;
  TrainLog& operator=(const TrainLog&) = delete;
  ~TrainLog();

  void append(const nlohmann::ordered_json& object);  // NaN and infinities become null: JSON has none

 private:
  std::filesystem::path path_;
  int fd_;
};

}  // namespace mfa
