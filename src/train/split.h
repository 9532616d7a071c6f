// Which part of the text is kept for validation.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "train/text_source.h"

namespace mfa {

// Decided once over the whole text, in memory that does not grow with it; applied chunk by chunk by Splitter.
struct SplitPlan {
  int64_t documents = 0, bytes = 0;    // of text in all
  std::vector<bool> held_out_buckets;  // by document: bucket of a document's hash → held out; empty: by position
  int64_t held_out_from = 0;           // by position: bytes of text from which on the rest is held out, about
};

// With at least 20 documents, whole documents are held out, chosen by a hash of their beginning (so equal documents
// fall on the same side, and a document keeps its side when others come and go), about `share` of the bytes. With
// fewer, or when no choice of documents comes near that share, the last `share` of the text is.
// `progress` hears the position on disk after each chunk.
SplitPlan plan_split(TextSource& source, double share, const std::function<void(int64_t)>& progress);

struct Piece {  // of one document, within a chunk
  std::string_view text;
  bool held_out = false;
  bool ends_document = false;  // by position, the document that is cut has an end only in the held-out part
};

// Goes through the same chunks in the same order as plan_split did.
class Splitter {
 public:
  explicit Splitter(const SplitPlan& plan) : plan_(plan) {}
  // Appends the pieces of `chunk`, which view its text.
  void split(const TextChunk& chunk, std::vector<Piece>& pieces);

 private:
  void add(std::string_view text, bool ends, std::vector<Piece>& pieces);

  const SplitPlan& plan_;
  int64_t position_ = 0, cut_ = -1;  // bytes of text before this piece; where the held-out part begins, once known
  bool inside_ = false, held_out_ = false;
};

}  // namespace mfa
