// Builds GGUF files byte by byte, so that tests can also build wrong ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mfa {

class GgufBytes {
 public:
  template <class T>
  GgufBytes& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufBytes& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  GgufBytes& string(std::string_view text) { return number(uint64_t{text.size()}).raw(text); }
  GgufBytes& header(uint64_t tensors, uint64_t pairs, uint32_t version = 3) {
    return raw("GGUF").number(version).number(tensors).number(pairs);
  }
  template <class T>
  GgufBytes& pair(std::string_view key, uint32_t type, T value) {
    return string(key).number(type).number(value);
  }
  GgufBytes& text_pair(std::string_view key, std::string_view text) { return string(key).number(8u).string(text); }
  GgufBytes& list_pair(std::string_view key, uint32_t element, uint64_t count) {
    return string(key).number(9u).number(element).number(count);
  }
  // One dim of `numbers`.
  GgufBytes& tensor(std::string_view name, uint64_t numbers, uint32_t type, uint64_t offset) {
    return string(name).number(1u).number(numbers).number(type).number(offset);
  }
  GgufBytes& pad(size_t alignment = 32) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment, '\0');
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace mfa
