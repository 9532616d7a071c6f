#include "train/train_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace mfa {
namespace {

bool keep(std::string_view line, int64_t resumed_step, const std::string& where) {
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object()) bad_input("[train log] {} is not a JSON object", where);
  const auto step = object.find("step");
  return step == object.end() || !step->is_number_integer() || step->get<int64_t>() <= resumed_step;
}

std::string kept_lines(std::string_view log, int64_t resumed_step, const fs::path& path) {
  std::string kept;
  for (int64_t number = 1;; ++number) {
    const size_t end = log.find('\n');
    if (end == std::string_view::npos) return kept;  // what follows has no line feed: cut short
    const std::string_view line = log.substr(0, end);
    if (keep(line, resumed_step, fmt::format("{}:{}", path.string(), number))) kept.append(line) += '\n';
    log.remove_prefix(end + 1);
  }
}

}  // namespace

TrainLog::TrainLog(const fs::path& path, int64_t resumed_step) : path_(path) {
  const bool goes_on = resumed_step >= 0 && path_exists(path);
  write_file(path, goes_on ? kept_lines(read_file(path), resumed_step, path) : std::string());
  fd_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0) bad_input("[train log] cannot write {}: {}", path.string(), std::strerror(errno));
}

TrainLog::~TrainLog() { ::close(fd_); }

void TrainLog::append(const nlohmann::ordered_json& object) {
  // A text with broken UTF-8 in some value must not stop a run.
  const std::string line = object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  for (std::string_view left = line; !left.empty();) {
    const ssize_t n = ::write(fd_, left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("[train log] cannot write {}: {}", path_.string(), std::strerror(errno));
    left.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace mfa
