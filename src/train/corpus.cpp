#include "train/corpus.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "model/model_folder.h"
#include "train/split.h"
#include "train/text_source.h"
#include "train/token_cache.h"
#include "train/tokenize.h"

namespace mfa {
namespace {

constexpr int64_t shortest_part_bytes = 16;
constexpr int64_t vocab_limit = 1 << 20;

void check(const CorpusOptions& options) {
  if (!(options.held_out >= 1e-4 && options.held_out <= 0.9))
    bad_input("[corpus] held-out share, got {}, expected a number from 0.0001 to 0.9", options.held_out);
  if (options.tokenizer.empty() && (options.vocab < 257 || options.vocab > vocab_limit))
    bad_input("[corpus] vocabulary, got {}, expected 257 (256 bytes and an end of text) to {}", options.vocab,
              vocab_limit);
}

std::optional<Tokenizer> given_tokenizer(const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (name == "bytes") return Tokenizer::plain_bytes();
  const fs::path path = name;
  std::error_code error;
  if (!fs::exists(path, error))
    bad_input("[corpus] tokenizer {} does not exist, expected `bytes`, a file or a folder", name);
  if (is_gguf_model(path)) return load_tokenizer(path);
  return Tokenizer::load(fs::is_directory(path, error) ? path / "tokenizer.json" : path);
}

// Everything that decides the tokens. The paths do not: the same files elsewhere are the same corpus. A new number in
// front makes old caches unused when this code would cut or split differently.
std::string fingerprint_of(const std::vector<TextFile>& files, const CorpusOptions& options,
                           const std::optional<Tokenizer>& tokenizer) {
  std::string key = fmt::format("1 {}\n", options.held_out);
  key +=
      tokenizer ? fmt::format("tokenizer {:016x}\n", tokenizer->fingerprint()) : fmt::format("bpe {}\n", options.vocab);
  for (const TextFile& file : files)
    key += fmt::format("{} {} {}\n", file_checksum(file.path), compression_of(file.path), file.json_lines);
  return checksum(std::as_bytes(std::span(key)));
}

// What meta.json holds; it is written last, so that a folder with it is complete.
nlohmann::json describe(const Corpus& corpus) {
  return {{"bytes", corpus.bytes},
          {"documents", corpus.documents},
          {"train_tokens", corpus.train.size()},
          {"held_out_tokens", corpus.held_out.size()},
          {"tokenizer_fingerprint", corpus.tokenizer.fingerprint()}};
}

void open_parts(const fs::path& folder, Corpus& corpus) {
  corpus.train = TokenFile(folder / "train.tokens");
  corpus.held_out = TokenFile(folder / "held_out.tokens");
}

// True if the cache holds all of it. A damaged cache is no error: it is made anew.
bool open_cached(const fs::path& folder, const std::optional<Tokenizer>& tokenizer, Corpus& corpus) {
  if (!path_exists(folder / "meta.json")) return false;
  try {
    const nlohmann::json meta = nlohmann::json::parse(read_file(folder / "meta.json"));
    corpus.tokenizer = tokenizer ? *tokenizer : Tokenizer::load(folder / "tokenizer.json");
    open_parts(folder, corpus);
    corpus.bytes = meta.at("bytes").get<int64_t>();
    corpus.documents = meta.at("documents").get<int64_t>();
    if (describe(corpus) != meta)
      bad_input("[corpus] {} does not match its token files", (folder / "meta.json").string());
  } catch (const std::exception& error) {
    warn(fmt::format("the token cache is damaged and will be made anew: {}", error.what()));
    return false;
  }
  note(fmt::format("[corpus] tokens from cache: {} to train on, {} held out, in {}", corpus.train.size(),
                   corpus.held_out.size(), folder.string()));
  return true;
}

std::string name_files(const std::vector<TextFile>& files) {
  const std::string first = files.front().path.string();
  return files.size() == 1 ? first : fmt::format("{} and {} more files", first, files.size() - 1);
}

[[noreturn]] void too_short(const std::vector<TextFile>& files, double share, int64_t bytes, int64_t held_out) {
  bad_input(
      "[corpus] the text of {} is too short for a training and a held-out part (share {}), got {} bytes, {} of them "
      "held out, expected at least {} in each part",
      name_files(files), share, bytes, held_out, shortest_part_bytes);
}

SplitPlan plan_with_progress(const std::vector<TextFile>& files, double share) {
  int64_t total = 0;
  for (const TextFile& file : files) total += static_cast<int64_t>(fs::file_size(file.path));
  Progress progress("reading text", total);
  TextSource source(files);
  return plan_split(source, share, [&](int64_t position) { progress.update(position); });
}

void build(const std::vector<TextFile>& files, const CorpusOptions& options, const fs::path& folder,
           const std::optional<Tokenizer>& tokenizer, Corpus& corpus) {
  const SplitPlan plan = plan_with_progress(files, options.held_out);
  corpus.bytes = plan.bytes, corpus.documents = plan.documents;
  if (plan.bytes < 2 * shortest_part_bytes)
    too_short(files, options.held_out, plan.bytes, plan.bytes - plan.held_out_from);
  corpus.tokenizer = tokenizer ? *tokenizer : train_bpe(files, plan, options.vocab);
  const int64_t vocab = corpus.tokenizer.vocab_size();
  TokenFileWriter train(folder / "train.tokens", vocab, corpus.tokenizer.eos());
  TokenFileWriter held_out(folder / "held_out.tokens", vocab, corpus.tokenizer.eos());
  tokenize(files, plan, corpus.tokenizer, train, held_out);
  if (std::min(train.text_bytes(), held_out.text_bytes()) < shortest_part_bytes)
    too_short(files, options.held_out, plan.bytes, held_out.text_bytes());
  write_file(folder / "tokenizer.json", corpus.tokenizer.to_json());
  train.commit();
  held_out.commit();
  open_parts(folder, corpus);
  write_file(folder / "meta.json", describe(corpus).dump(2) + "\n");
}

}  // namespace

Corpus prepare_corpus(const CorpusOptions& options) {
  check(options);
  const std::vector<TextFile> files = find_text_files(options.data);
  const std::optional<Tokenizer> tokenizer = given_tokenizer(options.tokenizer);
  Corpus corpus;
  corpus.fingerprint = fingerprint_of(files, options, tokenizer);
  const fs::path folder = token_cache_folder(options.cache, corpus.fingerprint);
  if (!open_cached(folder, tokenizer, corpus)) build(files, options, folder, tokenizer, corpus);
  return corpus;
}

}  // namespace mfa
