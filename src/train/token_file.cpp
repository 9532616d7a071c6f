#include "train/token_file.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "base/error.h"

namespace mfa {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are mapped as they are");

constexpr char magic[8] = {'M', 'F', 'A', 'T', 'O', 'K', '0', '1'};

struct Header {
  char magic[8];
  uint32_t width;  // bytes of a token: 2 or 4
  int32_t end_of_document;
  int64_t vocab, count, text_bytes;
  char reserved[24];
};
static_assert(sizeof(Header) == 64);  // tokens begin on a cache line

int width_for(int64_t vocab) { return vocab <= 65536 ? 2 : 4; }

}  // namespace

TokenFile::TokenFile(const std::filesystem::path& path) : file_(path), path_(path) {
  const auto bytes = file_.bytes();
  if (bytes.size() < sizeof(Header))
    bad_input("[tokens] {} is not a token file, got {} bytes, expected a header of {}", path.string(), bytes.size(),
              sizeof(Header));
  Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, magic, sizeof magic) != 0)
    bad_input("[tokens] {} is not a token file: it does not begin with {}", path.string(),
              std::string_view(magic, sizeof magic));
  if (header.vocab < 1 || header.vocab > INT32_MAX || header.width != static_cast<uint32_t>(width_for(header.vocab)))
    bad_input("[tokens] {}: vocabulary {} in tokens of {} bytes", path.string(), header.vocab, header.width);
  if (header.end_of_document < -1 || header.end_of_document >= header.vocab || header.text_bytes < 0)
    bad_input("[tokens] {}: end of document {} of a vocabulary of {}, {} bytes of text", path.string(),
              header.end_of_document, header.vocab, header.text_bytes);
  const auto body = static_cast<int64_t>(bytes.size() - sizeof(Header));
  if (header.count < 0 || header.count > body / header.width || header.count * header.width != body)
    bad_input("[tokens] {}: got {} bytes of tokens, expected {} tokens of {} bytes", path.string(), body, header.count,
              header.width);
  width_ = static_cast<int>(header.width);
  count_ = header.count, text_bytes_ = header.text_bytes, vocab_ = header.vocab;
  end_of_document_ = header.end_of_document;
}

void TokenFile::read(int64_t begin, std::span<int32_t> out) const {
  assert(begin >= 0 && begin <= count_ && static_cast<int64_t>(out.size()) <= count_ - begin);
  const std::byte* tokens = file_.bytes().data() + sizeof(Header) + begin * width_;
  uint32_t largest = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    uint32_t id = 0;
    std::memcpy(&id, tokens + i * static_cast<size_t>(width_), static_cast<size_t>(width_));
    largest = std::max(largest, id);
    out[i] = static_cast<int32_t>(id);
  }
  if (static_cast<int64_t>(largest) >= vocab_)
    bad_input("[tokens] {} is damaged: token {} near {}, expected less than {}", path_.string(), largest, begin,
              vocab_);
}

TokenFileWriter::TokenFileWriter(const std::filesystem::path& path, int64_t vocab, int32_t end_of_document)
    : file_(path), vocab_(vocab), end_of_document_(end_of_document) {
  assert(vocab >= 1 && vocab <= INT32_MAX && end_of_document >= -1 && end_of_document < vocab);
  const Header blank{};
  file_.write(std::as_bytes(std::span(&blank, 1)));
}

void TokenFileWriter::append(std::span<const int32_t> ids, int64_t text_bytes) {
  if (width_for(vocab_) == 4) {
    file_.write(std::as_bytes(ids));
  } else {
    narrow_.assign(ids.begin(), ids.end());
    file_.write(std::as_bytes(std::span(narrow_)));
  }
  count_ += static_cast<int64_t>(ids.size());
  text_bytes_ += text_bytes;
}

void TokenFileWriter::commit() {
  Header header{};
  std::memcpy(header.magic, magic, sizeof magic);
  header.width = static_cast<uint32_t>(width_for(vocab_));
  header.end_of_document = end_of_document_;
  header.vocab = vocab_, header.count = count_, header.text_bytes = text_bytes_;
  file_.write_at(0, std::as_bytes(std::span(&header, 1)));
  file_.commit();
}

}  // namespace mfa
