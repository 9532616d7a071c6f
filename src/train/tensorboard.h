// Curves for TensorBoard, without its libraries.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mfa {

// Appends scalars to FOLDER/events.out.tfevents.<time>.<host>.<pid>. Each call is in the file when it returns, so that
// a crash loses nothing; a record cut short by one is passed over by readers. A resumed run makes a new file in the
// same folder: TensorBoard drops the points of older files whose step the new one repeats.
class TensorBoardWriter {
 public:
  explicit TensorBoardWriter(const std::filesystem::path& folder);  // BadInput if the file cannot be made
  TensorBoardWriter(const TensorBoardWriter&) = delete;
  TensorBoardWriter& operator=(const TensorBoardWriter&) = delete;
  ~TensorBoardWriter();

  using Scalar = std::pair<std::string_view, double>;  // tag, as in "loss/train"; stored as f32
  void scalars(int64_t step, std::span<const Scalar> values);
  void scalars(int64_t step, std::initializer_list<Scalar> values) {
    scalars(step, std::span(values.begin(), values.size()));
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  void write_record(std::string_view event);
  std::filesystem::path path_;
  int fd_;
};

// CRC-32C (Castagnoli), bit-reflected: crc32c("123456789") = 0xe3069283.
uint32_t crc32c(std::string_view bytes);

}  // namespace mfa
