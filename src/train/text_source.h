// The documents of a corpus, streamed: memory does not grow with the corpus.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "train/byte_reader.h"

namespace mfa {

struct TextFile {
  std::filesystem::path path;
  bool json_lines = false;  // .jsonl, .jsonl.gz, .jsonl.zst: a line is an object whose `text` is a document
};

// The text files that `data` names, in its order; folders are searched recursively and give their files sorted by
// path, without hidden ones (a leading dot), empty ones and binary ones (a NUL byte in the first 4 KiB of content).
// BadInput for a path that is missing, a named file that is empty or binary, a folder without any text.
std::vector<TextFile> find_text_files(const std::vector<std::filesystem::path>& data);

// Part of the stream: either whole documents (the first may be the rest of one that began in an earlier chunk), or
// one piece of a document that goes on in the next chunk (then `ends` is empty).
struct TextChunk {
  std::string text;
  std::vector<size_t> ends;  // offsets in `text` where documents end, ascending; never an empty document
};

class TextSource {
 public:
  // Chunks hold about `chunk` bytes. A longer document is cut where safe_cut_at allows, so that its pieces have the
  // tokens of the whole; only a stretch of `hard_limit` bytes without such a place is cut at a character regardless.
  // (A stretch may be one word to the tokenizer, whose scratch is some 45 bytes for each of its bytes.)
  // Where the cuts fall depends on the text alone. The first piece of a document has at least `head_bytes` of it.
  static constexpr size_t chunk_bytes = 1 << 20, hard_limit_bytes = 4 << 20, head_bytes = 16 << 10;
  // One line of a .jsonl file; it is parsed in memory, at several times this.
  static constexpr size_t line_limit_bytes = size_t{256} << 20;

  explicit TextSource(std::vector<TextFile> files, size_t chunk = chunk_bytes, size_t hard_limit = hard_limit_bytes);

  // False at the end. BadInput, naming file and line, for a damaged compressed file, a .jsonl line that is not an
  // object with a string `text`, or is longer than line_limit_bytes.
  bool next(TextChunk& chunk);

  int64_t position() const;  // bytes on disk consumed, over all files: for a progress bar

 private:
  void fill();
  void end_file();
  void add_lines(std::string_view block);
  void add_line(std::string_view line);
  void add_text(std::string_view text);
  void end_document();
  size_t choose_cut();
  void take(size_t cut, TextChunk& chunk);

  std::vector<TextFile> files_;
  size_t chunk_, hard_limit_;
  size_t file_ = 0;  // the one that reader_ reads
  int64_t finished_bytes_ = 0, line_number_ = 0;
  std::unique_ptr<ByteReader> reader_;
  std::vector<char> block_;
  std::string line_;          // the unfinished last line of a .jsonl block
  std::string pending_;       // text read and not yet given out: from begin_ on
  std::vector<size_t> ends_;  // ends of documents, offsets in pending_
  size_t begin_ = 0, searched_ = 0;
  bool open_document_ = false, at_end_ = false;
};

}  // namespace mfa
