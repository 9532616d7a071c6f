// From conversations on disk to packed rows of tokens: read, render, tokenize once, cache by content.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/chat_text.h"
#include "train/corpus.h"

namespace mfa {

struct ChatCorpusOptions {
  std::vector<std::filesystem::path> data;  // .jsonl files (also .gz, .zst), or folders of them
  double held_out = 0.05;                   // share of the conversations kept for validation
  int64_t context = 1024;                   // tokens of a row
  std::filesystem::path cache;              // see CorpusOptions
};

// Whole conversations are held out: those whose lines hash lowest, at least one, so that equal ones fall on the same
// side. Memory does not grow with the data, but for 8 bytes a conversation. Conversations longer than a row are cut;
// those without anything to learn (no turn of the assistant, or not within the row) are left out; both are counted in a
// note. BadInput, naming file and line, for what is no conversation or what the template refuses; and when no two
// conversations are left.
Corpus prepare_chat_corpus(const ChatCorpusOptions& options, const Tokenizer& tokenizer, const ChatFormat& format);

}  // namespace mfa
