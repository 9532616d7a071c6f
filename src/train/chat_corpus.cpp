#include "train/chat_corpus.h"

#include <algorithm>
#include <cmath>
#include <exception>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_team.h"
#include "train/packed_rows.h"
#include "train/token_cache.h"

namespace mfa {
namespace {

std::vector<TextFile> find_chat_files(const std::vector<fs::path>& data) {
  std::vector<TextFile> files = find_text_files(data);
  for (const TextFile& file : files)
    if (!file.json_lines)
      bad_input("[chat] {} is no .jsonl file (nor .jsonl.gz, .jsonl.zst), expected one conversation a line",
                file.path.string());
  return files;
}

// Everything that decides the rows; see fingerprint_of in corpus.cpp.
std::string fingerprint_of(const std::vector<TextFile>& files, const ChatCorpusOptions& options,
                           const Tokenizer& tokenizer, const ChatFormat& format) {
  std::string key = fmt::format("chat 1 {} {} {:016x} {}\n", options.held_out, options.context, tokenizer.fingerprint(),
                                format.fingerprint);
  for (const TextFile& file : files) key += fmt::format("{} {}\n", file_checksum(file.path), compression_of(file.path));
  return checksum(std::as_bytes(std::span(key)));
}

int64_t bytes_on_disk(const std::vector<TextFile>& files) {
  int64_t total = 0;
  for (const TextFile& file : files) total += static_cast<int64_t>(fs::file_size(file.path));
  return total;
}

// The hash below which, itself included, a line is held out.
uint64_t held_out_limit(const std::vector<TextFile>& files, double share) {
  std::vector<uint64_t> hashes;
  for_each_chat_line(files, [&](const ChatLine& line, int64_t) { hashes.push_back(hash64(line.text)); });
  if (hashes.size() < 2)
    bad_input("[chat] {} has too few conversations, got {}, expected at least 2: one to learn from, one held out",
              files.front().path.string(), hashes.size());
  const auto n = static_cast<double>(hashes.size());
  const auto count = static_cast<std::ptrdiff_t>(std::clamp(std::round(share * n), 1.0, n - 1));
  std::nth_element(hashes.begin(), hashes.begin() + count - 1, hashes.end());
  return hashes[static_cast<size_t>(count - 1)];
}

struct Counts {
  int64_t conversations = 0, without_answer = 0, bytes = 0;
};

// Packs one part of the data into its file.
class Part {
 public:
  Part(const fs::path& file, int64_t vocab, int64_t context)
      : writer_(file, packed_vocab(vocab, context), -1), packer_(context, [this](const PackedRow& row) {
          append_row(writer_, row, 0);
          ++rows_;
        }) {}
  bool add(const ScoredTokens& tokens) { return packer_.add(tokens); }
  void finish() { packer_.finish(); }
  void commit() { writer_.commit(); }
  int64_t rows() const { return rows_; }
  const RowPacker& packer() const { return packer_; }

 private:
  TokenFileWriter writer_;
  RowPacker packer_;
  int64_t rows_ = 0;
};

struct Slot {  // one conversation of a round and what became of it
  ChatLine line;
  ScoredTokens tokens;
  int64_t bytes = 0;
  std::exception_ptr error;
};

// Renders and tokenizes in parallel, a round of lines at a time; packs in the order of the file.
class Builder {
 public:
  Builder(const Tokenizer& tokenizer, const ChatFormat& format, uint64_t limit, Part& train, Part& held_out)
      : tokenizer_(tokenizer), format_(format), limit_(limit), train_(train), held_out_(held_out) {
    slots_.reserve(kRound);
  }

  void add(ChatLine line) {
    slots_.push_back({.line = std::move(line), .tokens = {}, .bytes = 0, .error = nullptr});
    if (slots_.size() == kRound) flush();
  }

  void flush() {
    parallel_tasks(static_cast<int64_t>(slots_.size()), [&](int64_t i, int) {
      Slot& slot = slots_[static_cast<size_t>(i)];
      try {
        work(slot);
      } catch (...) {  // an exception must not leave a thread of the team
        slot.error = std::current_exception();
      }
    });
    for (const Slot& slot : slots_) {
      if (slot.error) std::rethrow_exception(slot.error);
      Part& part = hash64(slot.line.text) <= limit_ ? held_out_ : train_;
      ++counts_.conversations;
      counts_.bytes += slot.bytes;
      if (!part.add(slot.tokens)) ++counts_.without_answer;
    }
    slots_.clear();
  }

  const Counts& counts() const { return counts_; }

 private:
  static constexpr size_t kRound = 256;

  void work(Slot& slot) const {
    const Conversation conversation = parse_conversation(slot.line);
    try {
      const ChatText rendered = render_conversation(format_, conversation, slot.line.where);
      slot.bytes = static_cast<int64_t>(rendered.text.size());
      slot.tokens = tokenize_chat(tokenizer_, rendered);
    } catch (const BadInput& error) {
      const std::string message = error.what();
      if (message.find(slot.line.where) != std::string::npos) throw;
      bad_input("[chat] {}: {}", slot.line.where, message);  // the template's own words know of no line
    }
  }

  const Tokenizer& tokenizer_;
  const ChatFormat& format_;
  uint64_t limit_;
  Part &train_, &held_out_;
  std::vector<Slot> slots_;
  Counts counts_;
};

nlohmann::json describe(const Corpus& corpus) {
  return {{"bytes", corpus.bytes},
          {"conversations", corpus.documents},
          {"context", corpus.row_context},
          {"train_rows", packed_rows(corpus.train, corpus.row_context)},
          {"held_out_rows", packed_rows(corpus.held_out, corpus.row_context)}};
}

void open_parts(const fs::path& folder, Corpus& corpus) {
  corpus.train = TokenFile(folder / "train.tokens");
  corpus.held_out = TokenFile(folder / "held_out.tokens");
}

// As open_cached in corpus.cpp.
bool open_cached(const fs::path& folder, Corpus& corpus) {
  if (!path_exists(folder / "meta.json")) return false;
  try {
    const nlohmann::json meta = nlohmann::json::parse(read_file(folder / "meta.json"));
    open_parts(folder, corpus);
    corpus.bytes = meta.at("bytes").get<int64_t>();
    corpus.documents = meta.at("conversations").get<int64_t>();
    if (describe(corpus) != meta)
      bad_input("[chat] {} does not match its token files", (folder / "meta.json").string());
  } catch (const std::exception& error) {
    warn(fmt::format("the token cache is damaged and will be made anew: {}", error.what()));
    return false;
  }
  note(fmt::format("[chat] rows from cache: {} to train on, {} held out, in {}",
                   packed_rows(corpus.train, corpus.row_context), packed_rows(corpus.held_out, corpus.row_context),
                   folder.string()));
  return true;
}

void report(const Counts& counts, const Part& train, const Part& held_out, int64_t context) {
  const int64_t rows = train.rows() + held_out.rows();
  const int64_t used = train.packer().used() + held_out.packer().used();
  note(fmt::format(
      "[chat] {} conversations in {} rows of {} tokens ({:.0f} % filled), {} of them held out; {} tokens to "
      "learn",
      counts.conversations, rows, context, 100 * static_cast<double>(used) / static_cast<double>(rows * context),
      held_out.rows(), train.packer().scored() + held_out.packer().scored()));
  if (const int64_t cut = train.packer().cut() + held_out.packer().cut(); cut > 0)
    note(fmt::format("[chat] {} conversations were longer than a row and are cut (--context)", cut));
  if (counts.without_answer > 0)
    note(
        fmt::format("[chat] {} conversations hold nothing to learn and are left out: no turn of the assistant within "
                    "{} tokens",
                    counts.without_answer, context));
}

void build(const std::vector<TextFile>& files, const ChatCorpusOptions& options, const fs::path& folder,
           const ChatFormat& format, Corpus& corpus) {
  const int64_t vocab = corpus.tokenizer.vocab_size();
  Part train(folder / "train.tokens", vocab, options.context);
  Part held_out(folder / "held_out.tokens", vocab, options.context);
  Builder builder(corpus.tokenizer, format, held_out_limit(files, options.held_out), train, held_out);
  Progress progress("tokenizing", bytes_on_disk(files));
  for_each_chat_line(files, [&](ChatLine line, int64_t position) {
    builder.add(std::move(line));
    progress.update(position);
  });
  builder.flush();
  train.finish();
  held_out.finish();
  if (train.rows() == 0 || held_out.rows() == 0)
    bad_input("[chat] {} of {} conversations of {} hold something to learn within {} tokens, but the {} part has none",
              builder.counts().conversations - builder.counts().without_answer, builder.counts().conversations,
              files.front().path.string(), options.context, train.rows() == 0 ? "training" : "held-out");
  report(builder.counts(), train, held_out, options.context);
  train.commit();
  held_out.commit();
  corpus.bytes = builder.counts().bytes, corpus.documents = builder.counts().conversations;
  open_parts(folder, corpus);
  write_file(folder / "meta.json", describe(corpus).dump(2) + "\n");
}

}  // namespace

Corpus prepare_chat_corpus(const ChatCorpusOptions& options, const Tokenizer& tokenizer, const ChatFormat& format) {
  const std::vector<TextFile> files = find_chat_files(options.data);
  Corpus corpus;
  corpus.tokenizer = tokenizer;
  corpus.row_context = options.context;
  corpus.fingerprint = fingerprint_of(files, options, tokenizer, format);
  const fs::path folder = token_cache_folder(options.cache, corpus.fingerprint);
  if (!open_cached(folder, corpus)) build(files, options, folder, format, corpus);
  return corpus;
}

}  // namespace mfa
