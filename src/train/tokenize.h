// The passes over a corpus that cost time: learning a BPE from it, and turning it into token files.
#pragma once

#include <cstdint>
#include <vector>

#include "formats/tokenizer.h"
#include "train/split.h"
#include "train/text_source.h"
#include "train/token_file.h"

namespace mfa {

// Learns a BPE from the training part: from all of it, or, when it is longer than 64 MiB, from that much, taken evenly
// from all chunks. The result does not depend on the number of threads.
Tokenizer train_bpe(const std::vector<TextFile>& files, const SplitPlan& plan, int64_t vocab);

// Appends both parts to the writers, documents ended by the tokenizer's eos. Holds four chunks a thread in memory.
void tokenize(const std::vector<TextFile>& files, const SplitPlan& plan, const Tokenizer& tokenizer,
              TokenFileWriter& train, TokenFileWriter& held_out);

}  // namespace mfa
