#include "train/text_source.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "train/safe_cut.h"

namespace mfa {
namespace {

namespace fs = std::filesystem;
constexpr size_t block_bytes = 256 << 10;

enum class Content { text, empty, binary };

Content look_into(const fs::path& path) {
  char head[4096];
  const size_t n = open_reader(path)->read(head);
  if (n == 0) return Content::empty;
  return std::memchr(head, 0, n) != nullptr ? Content::binary : Content::text;
}

bool is_json_lines(fs::path path) {
  if (!compression_of(path).empty()) path.replace_extension();
  return path.extension() == ".jsonl";
}

void add_named_file(const fs::path& path, std::vector<TextFile>& files) {
  const Content content = look_into(path);
  if (content == Content::empty) bad_input("[corpus] {} is empty, expected text", path.string());
  if (content == Content::binary)
    bad_input("[corpus] {} is binary (a NUL byte in its first 4 KiB), expected UTF-8 text", path.string());
  files.push_back({path, is_json_lines(path)});
}

bool is_hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

void add_folder(const fs::path& folder, std::vector<TextFile>& files) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  while (!error && entry != fs::recursive_directory_iterator()) {
    if (is_hidden(entry->path())) {
      entry.disable_recursion_pending();
    } else if (std::error_code unknown; entry->is_regular_file(unknown)) {
      found.push_back(entry->path());
    }
    entry.increment(error);
  }
  if (error) bad_input("[corpus] cannot search the folder {}: {}", folder.string(), error.message());
  std::sort(found.begin(), found.end());
  const size_t before = files.size();
  for (const fs::path& path : found)
    if (look_into(path) == Content::text) files.push_back({path, is_json_lines(path)});
  const size_t taken = files.size() - before;
  if (taken == 0)
    bad_input("[corpus] no text in the folder {}: all of its {} files are binary or empty", folder.string(),
              found.size());
  if (taken < found.size())
    note(fmt::format("[corpus] {}: {} of {} files passed over (binary or empty)", folder.string(), found.size() - taken,
                     found.size()));
}

}  // namespace

std::vector<TextFile> find_text_files(const std::vector<fs::path>& data) {
  std::vector<TextFile> files;
  for (const fs::path& path : data) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) bad_input("[corpus] {} does not exist", path.string());
    if (fs::is_directory(status)) {
      add_folder(path, files);
    } else {
      add_named_file(path, files);
    }
  }
  if (files.empty()) bad_input("[corpus] no data given, expected files or folders of text");
  return files;
}

TextSource::TextSource(std::vector<TextFile> files, size_t chunk, size_t hard_limit)
    : files_(std::move(files)), chunk_(chunk), hard_limit_(std::max(hard_limit, chunk)), block_(block_bytes) {}

int64_t TextSource::position() const { return finished_bytes_ + (reader_ ? reader_->position() : 0); }

bool TextSource::next(TextChunk& chunk) {
  for (;;) {
    const size_t available = pending_.size() - begin_;
    if (available == 0 && at_end_) return false;
    if (available >= chunk_ || at_end_) {
      if (const size_t cut = choose_cut()) {
        take(cut, chunk);
        return true;
      }
    }
    fill();
  }
}

// Reads one block of the current file, or goes on to the next one.
void TextSource::fill() {
  if (!reader_) {
    if (file_ == files_.size()) {
      at_end_ = true;
    } else {
      reader_ = open_reader(files_[file_].path);
      line_number_ = 0;
    }
    return;
  }
  const size_t n = reader_->read(block_);
  const std::string_view block(block_.data(), n);
  if (files_[file_].json_lines) {
    add_lines(block);
  } else {
    add_text(block);
  }
  if (n < block_.size()) end_file();
}

void TextSource::end_file() {
  if (!line_.empty()) add_line(line_);
  line_.clear();
  end_document();
  finished_bytes_ += reader_->position();
  reader_.reset();
  ++file_;
}

void TextSource::add_lines(std::string_view block) {
  while (!block.empty()) {
    const size_t end = block.find('\n');
    const bool complete = end != std::string_view::npos;
    line_.append(block.substr(0, end));
    if (line_.size() > line_limit_bytes)
      bad_input("[corpus] {}:{} is a line of more than {} MiB", files_[file_].path.string(), line_number_ + 1,
                line_limit_bytes >> 20);
    if (!complete) return;
    add_line(line_);
    line_.clear();
    block.remove_prefix(end + 1);
  }
}

void TextSource::add_line(std::string_view line) {
  ++line_number_;
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
  const std::string where = fmt::format("{}:{}", files_[file_].path.string(), line_number_);
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
  if (object.is_discarded()) bad_input("[corpus] {} is not valid JSON", where);
  if (!object.is_object()) bad_input("[corpus] {} is a JSON {}, expected an object", where, object.type_name());
  const auto text = object.find("text");
  if (text == object.end()) {
    std::string keys;
    for (const auto& item : object.items()) keys += (keys.empty() ? "" : ", ") + item.key().substr(0, 40);
    bad_input("[corpus] {} has no field `text`, got the fields: {}", where,
              keys.empty() ? "none" : keys.substr(0, 200));
  }
  if (!text->is_string()) bad_input("[corpus] {}: `text` is a {}, expected a string", where, text->type_name());
  add_text(text->get_ref<const std::string&>());
  end_document();
}

void TextSource::add_text(std::string_view text) {
  pending_ += text;
  open_document_ = open_document_ || !text.empty();
}

void TextSource::end_document() {
  if (open_document_) ends_.push_back(pending_.size());
  open_document_ = false;
}

// How much of the pending text to give out; 0: not yet to be said, more must be read.
size_t TextSource::choose_cut() {
  const std::string_view all = std::string_view(pending_).substr(begin_);
  const auto after = std::upper_bound(ends_.begin(), ends_.end(), begin_ + chunk_);
  if (after != ends_.begin()) return *std::prev(after) - begin_;
  // One document is longer than a chunk. While it is still being read, the last character may be incomplete.
  const bool complete = !ends_.empty();
  const std::string_view text = complete ? all.substr(0, ends_.front() - begin_) : all;
  if (!complete && text.size() < chunk_ + 4) return 0;
  const size_t end = std::min(complete ? text.size() : text.size() - 4, hard_limit_);
  if (searched_ == 0)
    if (const size_t cut = last_safe_cut(text, std::min(head_bytes, chunk_ / 2), std::min(chunk_, end))) return cut;
  if (const size_t cut = first_safe_cut(text, std::max(std::min(chunk_, end), searched_), end)) return cut;
  searched_ = end;
  // Something must be left over for the last chunk of the document, hence the strict comparison.
  if (text.size() > hard_limit_) return character_boundary(text, hard_limit_);
  return complete ? text.size() : 0;
}

void TextSource::take(size_t cut, TextChunk& chunk) {
  chunk.text.assign(pending_, begin_, cut);
  chunk.ends.clear();
  const auto after = std::upper_bound(ends_.begin(), ends_.end(), begin_ + cut);
  for (auto end = ends_.begin(); end != after; ++end) chunk.ends.push_back(*end - begin_);
  ends_.erase(ends_.begin(), after);
  begin_ += cut;
  searched_ = 0;
  if (begin_ < pending_.size() / 2) return;
  pending_.erase(0, begin_);  // moves less than it drops: linear in all
  for (size_t& end : ends_) end -= begin_;
  begin_ = 0;
}

}  // namespace mfa
