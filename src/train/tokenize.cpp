#include "train/tokenize.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <string>

#include "base/progress.h"
#include "base/thread_team.h"

namespace mfa {
namespace {

constexpr double bpe_sample_bytes = 64 << 20;

struct Slot {  // one chunk of a round and what became of it
  TextChunk chunk;
  std::vector<Piece> pieces;
  std::vector<int32_t> train, held_out;
  BpeTrainer words;
  int64_t train_bytes = 0, held_out_bytes = 0;
  std::exception_ptr error;
};

// Reads rounds of chunks; `work` runs on all slots of a round at once, then `finish` on each in order.
void for_each_chunk(const std::vector<TextFile>& files, const SplitPlan& plan, const char* title,
                    const std::function<void(Slot&)>& work, const std::function<void(Slot&)>& finish) {
  TextSource source(files);
  Splitter splitter(plan);
  Progress progress(title, plan.bytes);
  std::vector<Slot> slots(static_cast<size_t>(4 * num_threads()));
  int64_t done = 0;
  for (bool more = true; more;) {
    size_t filled = 0;
    while (filled < slots.size() && (more = source.next(slots[filled].chunk))) {
      slots[filled].pieces.clear();
      splitter.split(slots[filled].chunk, slots[filled].pieces);
      ++filled;
    }
    parallel_tasks(static_cast<int64_t>(filled), [&](int64_t i, int) {
      Slot& slot = slots[static_cast<size_t>(i)];
      try {
        work(slot);
      } catch (...) {  // an exception must not leave a thread of the team
        slot.error = std::current_exception();
      }
    });
    for (size_t i = 0; i < filled; ++i) {
      if (slots[i].error) std::rethrow_exception(slots[i].error);
      finish(slots[i]);
      done += static_cast<int64_t>(slots[i].chunk.text.size());
    }
    progress.update(done);
  }
}

// Counts the words of the first `share` of the chunk's text, training part only.
void count_words(double share, Slot& slot) {
  auto left = static_cast<size_t>(std::min(share, 1.0) * static_cast<double>(slot.chunk.text.size()));
  for (const Piece& piece : slot.pieces) {
    if (piece.held_out) continue;
    slot.words.add(piece.text.substr(0, left));  // at most one word a chunk is cut short
    left -= std::min(left, piece.text.size());
  }
}

void encode_slot(const Tokenizer& tokenizer, Slot& slot) {
  slot.train.clear(), slot.held_out.clear();
  slot.train_bytes = slot.held_out_bytes = 0;
  for (const Piece& piece : slot.pieces) {
    std::vector<int32_t>& ids = piece.held_out ? slot.held_out : slot.train;
    tokenizer.encode(piece.text, ids);
    if (piece.ends_document && tokenizer.eos() >= 0) ids.push_back(tokenizer.eos());
    (piece.held_out ? slot.held_out_bytes : slot.train_bytes) += static_cast<int64_t>(piece.text.size());
  }
}

}  // namespace

Tokenizer train_bpe(const std::vector<TextFile>& files, const SplitPlan& plan, int64_t vocab) {
  const double share = bpe_sample_bytes / static_cast<double>(std::max<int64_t>(plan.bytes, 1));
  BpeTrainer all;
  const auto count = [&](Slot& slot) { count_words(share, slot); };
  const auto merge = [&](Slot& slot) {
    all.merge_counts(slot.words);
    slot.words = BpeTrainer();
  };
  for_each_chunk(files, plan, "counting words", count, merge);
  note("[corpus] learning a byte-pair encoding of up to " + std::to_string(vocab) + " tokens");
  return all.train(vocab);
}

void tokenize(const std::vector<TextFile>& files, const SplitPlan& plan, const Tokenizer& tokenizer,
              TokenFileWriter& train, TokenFileWriter& held_out) {
  const auto encode = [&](Slot& slot) { encode_slot(tokenizer, slot); };
  const auto append = [&](Slot& slot) {
    train.append(slot.train, slot.train_bytes);
    held_out.append(slot.held_out, slot.held_out_bytes);
  };
  for_each_chunk(files, plan, "tokenizing", encode, append);
}

}  // namespace mfa
