// From text on disk to token files: read, tokenize once, cache by content.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "formats/tokenizer.h"
#include "train/token_file.h"

namespace mfa {

struct CorpusOptions {
  // Files and folders (searched recursively, sorted by path): plain text, .jsonl with a `text` field (a line is a
  // document), either also as .gz or .zst. A file is a document; binary files inside folders are passed over.
  std::vector<std::filesystem::path> data;
  std::string tokenizer;        // empty: train a BPE; "bytes"; or a tokenizer.json or a folder that has one
  int64_t vocab = 4096;         // for a BPE trained here
  double held_out = 0.05;       // share of the text kept for validation
  std::filesystem::path cache;  // folder of token files; empty: $XDG_CACHE_HOME/mfa or ~/.cache/mfa
};

// Token files of the training and the held-out part. Documents end with the tokenizer's eos token.
struct Corpus {
  Tokenizer tokenizer = Tokenizer::plain_bytes();
  TokenFile train, held_out;
  int64_t bytes = 0, documents = 0;  // of text in all
  std::string fingerprint;           // of content, tokenizer and split: a resumed run must find the same
  int64_t row_context = 0;           // > 0: both files hold packed rows of so many tokens (train/packed_rows.h)
};

// Streams (memory does not grow with the corpus), tokenizes in parallel with a progress bar, and reuses the cache when
// content, tokenizer and split are the same. BadInput, naming the file, for: nothing readable, empty files, text too
// short for both parts, a jsonl line without `text`.
Corpus prepare_corpus(const CorpusOptions& options);

}  // namespace mfa
