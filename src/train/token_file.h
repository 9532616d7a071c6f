// A memory-mapped file of tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/file.h"

namespace mfa {

// Tokens as u16 (vocabulary ≤ 65,536) or u32, behind a header that says which, how many, how many bytes of text they
// stand for, and which token ends a document. Little-endian.
class TokenFile {
 public:
  TokenFile() = default;
  explicit TokenFile(const std::filesystem::path& path);  // BadInput if the header and the size disagree

  int64_t size() const { return count_; }
  int64_t text_bytes() const { return text_bytes_; }
  int32_t end_of_document() const { return end_of_document_; }  // −1: none
  int64_t vocab() const { return vocab_; }
  // Tokens [begin, begin + out.size()), which the file must hold. BadInput for an id outside the vocabulary.
  void read(int64_t begin, std::span<int32_t> out) const;

 private:
  MappedFile file_;
  std::filesystem::path path_;
  int64_t count_ = 0, text_bytes_ = 0, vocab_ = 0;
  int32_t end_of_document_ = -1;
  int width_ = 2;
};

// Writes such a file piece by piece; it appears under its name at commit().
class TokenFileWriter {
 public:
  // `vocab` in [1, 2^31); `end_of_document` −1: none.
  TokenFileWriter(const std::filesystem::path& path, int64_t vocab, int32_t end_of_document);
  // Ids in [0, vocab); `text_bytes`: how many bytes of text they stand for (an end of document stands for none).
  void append(std::span<const int32_t> ids, int64_t text_bytes);
  void commit();

  int64_t size() const { return count_; }
  int64_t text_bytes() const { return text_bytes_; }

 private:
  AtomicFile file_;
  int64_t vocab_, count_ = 0, text_bytes_ = 0;
  int32_t end_of_document_;
  std::vector<uint16_t> narrow_;  // grow-once buffer of append
};

}  // namespace mfa
