#include "train/byte_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.h"

namespace mfa {
namespace {

namespace fs = std::filesystem;
constexpr size_t buffer_bytes = 256 << 10;

class PlainReader : public ByteReader {
 public:
  explicit PlainReader(const fs::path& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) bad_input("[corpus] cannot open {}: {}", path.string(), std::strerror(errno));
    struct stat status {};
    if (::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode)) return;
    ::close(fd_);
    bad_input("[corpus] {} is not a regular file", path.string());
  }
  PlainReader(const PlainReader&) = delete;
  PlainReader& operator=(const PlainReader&) = delete;
  ~PlainReader() override { ::close(fd_); }

  size_t read(std::span<char> out) override {
    size_t got = 0;
    while (got < out.size()) {
      const ssize_t n = ::read(fd_, out.data() + got, out.size() - got);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("[corpus] cannot read {}: {}", path_.string(), std::strerror(errno));
      if (n == 0) break;
      got += static_cast<size_t>(n);
    }
    position_ += static_cast<int64_t>(got);
    return got;
  }
  int64_t position() const override { return position_; }

 private:
  fs::path path_;
  int fd_;
  int64_t position_ = 0;
};

// What both decompressors share: the file below and a buffer of its bytes.
class CompressedReader : public ByteReader {
 public:
  explicit CompressedReader(const fs::path& path) : path_(path), file_(path), buffer_(buffer_bytes) {}
  int64_t position() const override { return file_.position(); }

 protected:
  [[noreturn]] void damaged(std::string_view why) const {
    bad_input("[corpus] {} is damaged near its byte {}: {}", path_.string(), file_.position(), why);
  }
  std::span<char> refill() { return {buffer_.data(), file_.read(buffer_)}; }

 private:
  fs::path path_;
  PlainReader file_;
  std::vector<char> buffer_;
};

class GzipReader : public CompressedReader {
 public:
  explicit GzipReader(const fs::path& path) : CompressedReader(path) {
    if (inflateInit2(&stream_, 15 + 16) != Z_OK) fail("[corpus] zlib: not enough memory");  // +16: gzip only
  }
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;
  ~GzipReader() override { inflateEnd(&stream_); }

  size_t read(std::span<char> out) override {
    size_t got = 0;
    while (got < out.size()) {
      if (stream_.avail_in == 0) {
        const std::span<char> bytes = refill();
        stream_.next_in = reinterpret_cast<Bytef*>(bytes.data());
        stream_.avail_in = static_cast<uInt>(bytes.size());
      }
      const bool end_of_file = stream_.avail_in == 0;
      if (!inside_ && end_of_file && members_ == 0) damaged("it is empty");
      if (!inside_ && end_of_file) break;
      if (!inside_ && !begin_member()) continue;
      const size_t produced = inflate_into(out.subspan(got));
      if (inside_ && end_of_file && produced == 0) damaged("it ends in the middle of the compressed stream");
      got += produced;
    }
    return got;
  }

 private:
  // Members may follow one another, and tapes pad with zero bytes. False: a byte of padding was passed over.
  bool begin_member() {
    if (members_ > 0 && *stream_.next_in == 0) {
      ++stream_.next_in, --stream_.avail_in;
      return false;
    }
    inflateReset(&stream_);
    return inside_ = true;
  }

  size_t inflate_into(std::span<char> out) {
    const size_t room = std::min<size_t>(out.size(), std::numeric_limits<uInt>::max());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(room);
    const int code = inflate(&stream_, Z_NO_FLUSH);
    if (code == Z_MEM_ERROR) fail("[corpus] zlib: not enough memory");
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
      damaged(stream_.msg != nullptr ? stream_.msg : "not a gzip stream");
    if (code == Z_STREAM_END) inside_ = false, ++members_;
    return room - stream_.avail_out;
  }

  z_stream stream_{};
  int64_t members_ = 0;
  bool inside_ = false;
};

class ZstdReader : public CompressedReader {
 public:
  explicit ZstdReader(const fs::path& path) : CompressedReader(path), stream_(ZSTD_createDStream()) {
    if (stream_ == nullptr) fail("[corpus] zstd: not enough memory");
  }
  ZstdReader(const ZstdReader&) = delete;
  ZstdReader& operator=(const ZstdReader&) = delete;
  ~ZstdReader() override { ZSTD_freeDStream(stream_); }

  size_t read(std::span<char> out) override {
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    while (output.pos < output.size) {
      if (input_.pos == input_.size) {
        const std::span<char> bytes = refill();
        input_ = {bytes.data(), bytes.size(), 0};
      }
      const bool end_of_file = input_.size == 0;
      if (end_of_file && finished_) break;
      const size_t before = output.pos;
      const size_t code = ZSTD_decompressStream(stream_, &output, &input_);
      if (ZSTD_isError(code)) damaged(ZSTD_getErrorName(code));
      finished_ = code == 0;  // 0: a frame is complete and given out; another may follow
      if (end_of_file && !finished_ && output.pos == before) damaged("it ends in the middle of the compressed stream");
    }
    return output.pos;
  }

 private:
  ZSTD_DStream* stream_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  bool finished_ = false;
};

}  // namespace

std::string_view compression_of(const fs::path& path) {
  const fs::path extension = path.extension();
  return extension == ".gz" ? ".gz" : extension == ".zst" ? ".zst" : "";
}

std::unique_ptr<ByteReader> open_raw(const fs::path& path) { return std::make_unique<PlainReader>(path); }

std::unique_ptr<ByteReader> open_reader(const fs::path& path) {
  const std::string_view compression = compression_of(path);
  if (compression == ".gz") return std::make_unique<GzipReader>(path);
  if (compression == ".zst") return std::make_unique<ZstdReader>(path);
  return open_raw(path);
}

}  // namespace mfa
