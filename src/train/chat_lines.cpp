#include "train/chat_lines.h"

#include <cstring>

#include "base/error.h"

namespace mfa {
namespace {

bool blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

// Lines of one file, however its blocks cut them.
class LineReader {
 public:
  LineReader(const TextFile& file, size_t limit)
      : file_(file), limit_(limit), reader_(open_reader(file.path)), block_(256 << 10) {}

  bool next(ChatLine& line) {
    line.text.clear();
    while (true) {
      const char* const begin = block_.data() + at_;
      const auto* const end = static_cast<const char*>(std::memchr(begin, '\n', size_ - at_));
      line.text.append(begin, end != nullptr ? static_cast<size_t>(end - begin) : size_ - at_);
      if (line.text.size() > limit_)
        bad_input("[chat] {}:{} is a line of more than {} bytes", file_.path.string(), number_ + 1, limit_);
      at_ = end != nullptr ? static_cast<size_t>(end - block_.data()) + 1 : size_;
      if (end != nullptr) break;
      if (done_) {
        if (line.text.empty()) return false;
        break;
      }
      size_ = reader_->read(block_);
      at_ = 0;
      done_ = size_ < block_.size();
    }
    line.where = fmt::format("{}:{}", file_.path.string(), ++number_);
    return true;
  }

  int64_t position() const { return reader_->position(); }

 private:
  const TextFile& file_;
  size_t limit_;
  std::unique_ptr<ByteReader> reader_;
  std::vector<char> block_;
  size_t at_ = 0, size_ = 0;
  int64_t number_ = 0;
  bool done_ = false;
};

void check_message(const OrderedJson& message, size_t index, const std::string& where) {
  if (!message.is_object())
    bad_input("[chat] {}: message {} is a JSON {}, expected an object", where, index, message.type_name());
  const auto role = message.find("role");
  if (role == message.end() || !role->is_string())
    bad_input("[chat] {}: message {} has no `role` that is a string", where, index);
  // Tool calls come without content, images and the like as a list of parts; what a template makes of them is its own.
  if (const auto content = message.find("content");
      content != message.end() && !content->is_string() && !content->is_array() && !content->is_null())
    bad_input("[chat] {}: `content` of message {} is a {}, expected a string", where, index, content->type_name());
}

}  // namespace

void for_each_chat_line(const std::vector<TextFile>& files,
                        const std::function<void(ChatLine line, int64_t position)>& call, size_t line_limit) {
  int64_t before = 0;
  for (const TextFile& file : files) {
    LineReader reader(file, line_limit);
    ChatLine line;
    while (reader.next(line))
      if (!blank(line.text)) call(line, before + reader.position());
    before += reader.position();
  }
}

Conversation parse_conversation(const ChatLine& line) {
  OrderedJson json = parse_ordered_json(line.text, line.where);
  if (!json.is_object()) bad_input("[chat] {} is a JSON {}, expected an object", line.where, json.type_name());
  const auto messages = json.find("messages");
  if (messages == json.end() || !messages->is_array() || messages->empty())
    bad_input("[chat] {} has no `messages` that is a list with something in it", line.where);
  for (size_t i = 0; i < messages->size(); ++i) check_message((*messages)[i], i, line.where);
  const auto tools = json.find("tools");
  if (tools != json.end() && !tools->is_array() && !tools->is_null())
    bad_input("[chat] {}: `tools` is a {}, expected a list", line.where, tools->type_name());
  Conversation conversation{std::move(*messages), nullptr};
  if (tools != json.end() && !tools->empty()) conversation.tools = std::move(*tools);
  return conversation;
}

}  // namespace mfa
