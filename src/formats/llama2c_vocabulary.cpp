#include "formats/llama2c_vocabulary.h"

#include <array>
#include <cstring>

#include "base/error.h"

namespace mfa {
namespace {

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string_view where) : bytes_(bytes), where_(where) {}

  bool done() const { return bytes_.empty(); }

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::string text(size_t n) {
    const auto part = take(n);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }

 private:
  std::span<const std::byte> take(size_t n) {
    if (n > bytes_.size()) bad_input("[{}] ends within a piece, got {} bytes, expected {}", where_, bytes_.size(), n);
    const auto part = bytes_.first(n);
    bytes_ = bytes_.subspan(n);
    return part;
  }

  std::span<const std::byte> bytes_;
  std::string_view where_;
};

// Pieces with ▁ for the space, as SentencePiece and the others write them.
std::string with_marks(const std::string& piece) {
  std::string out;
  for (const char c : piece) out += c == ' ' ? std::string(kSpaceMark) : std::string(1, c);
  return out;
}

}  // namespace

TokenizerDescription describe_llama2c(std::span<const std::byte> tokenizer_bin, std::string_view where) {
  constexpr std::array<std::string_view, 3> kControl = {"<unk>", "<s>", "</s>"};
  Reader in(tokenizer_bin, where);
  const auto longest = in.number<uint32_t>();
  TokenizerDescription out;
  while (!in.done()) {
    const size_t id = out.pieces.size();
    if (id == static_cast<size_t>(kMaxTokens)) bad_input("[{}] over {} pieces", where, kMaxTokens);
    out.scores.push_back(in.number<float>());
    const auto length = in.number<uint32_t>();
    if (length > longest) bad_input("[{}] piece {}, got {} bytes, expected at most {}", where, id, length, longest);
    std::string piece = with_marks(in.text(length));
    if (valid_utf8_prefix(piece) != piece.size()) bad_input("[{}] piece {} is not UTF-8", where, id);
    if (id < kControl.size()) {
      if (piece.find(kControl[id]) == std::string::npos)
        bad_input("[{}] piece {}, got {}, expected {}", where, id, piece, kControl[id]);
      piece = kControl[id];
      AddedToken token;
      token.content = piece;
      token.id = static_cast<int32_t>(id);
      token.normalized = false;
      token.special = true;
      out.added.push_back(std::move(token));
    }
    out.pieces.emplace_back(std::move(piece));
  }
  if (out.pieces.size() < 3 + 256) bad_input("[{}] got {} pieces, expected at least 259", where, out.pieces.size());
  out.unknown = 0, out.bos = 1, out.eos = 2;
  out.prefix = {1};
  describe_sentencepiece(out, true);
  merges_from_scores(out, where);
  return out;
}

}  // namespace mfa
