#include "formats/gguf_writer.h"

#include "base/error.h"
#include "base/file.h"
#include "formats/gguf.h"
#include "formats/quant_blocks.h"

namespace mfa {
namespace {

constexpr uint64_t kAlignment = 32;

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_string(std::string& out, std::string_view text) {
  append(out, uint64_t{text.size()});
  out += text;
}

template <class T>
void append_all(std::string& out, std::span<const T> values) {
  out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

uint32_t code(GgufType type) { return static_cast<uint32_t>(type); }

uint64_t padding(uint64_t size) { return (kAlignment - size % kAlignment) % kAlignment; }

int64_t numbers_of(const GgufTensorToWrite& tensor) {
  int64_t n = 1;
  for (const int64_t dim : tensor.shape) n *= dim;
  return n;
}

uint64_t bytes_of(const GgufTensorToWrite& tensor) {
  const GgmlLayout layout = layout_of(tensor.type);
  if (tensor.shape.back() % layout.numbers != 0)
    bad_input("[gguf] rows of {}, got {} numbers, expected whole {} blocks of {}", tensor.name, tensor.shape.back(),
              layout.name, layout.numbers);
  return static_cast<uint64_t>(numbers_of(tensor) / layout.numbers * layout.bytes);
}

}  // namespace

void GgufWriter::begin_pair(std::string_view key, uint32_t type) {
  append_string(pairs_, key);
  append(pairs_, type);
  ++count_;
}

void GgufWriter::begin_list(std::string_view key, uint32_t element, uint64_t count) {
  begin_pair(key, code(GgufType::list));
  append(pairs_, element);
  append(pairs_, count);
}

void GgufWriter::add_u32(std::string_view key, uint32_t value) {
  begin_pair(key, code(GgufType::u32));
  append(pairs_, value);
}

void GgufWriter::add_f32(std::string_view key, float value) {
  begin_pair(key, code(GgufType::f32));
  append(pairs_, value);
}

void GgufWriter::add_bool(std::string_view key, bool value) {
  begin_pair(key, code(GgufType::boolean));
  append(pairs_, static_cast<uint8_t>(value));
}

void GgufWriter::add_string(std::string_view key, std::string_view value) {
  begin_pair(key, code(GgufType::string));
  append_string(pairs_, value);
}

void GgufWriter::add_strings(std::string_view key, std::span<const std::string> values) {
  begin_list(key, code(GgufType::string), values.size());
  for (const std::string& value : values) append_string(pairs_, value);
}

void GgufWriter::add_i32s(std::string_view key, std::span<const int32_t> values) {
  begin_list(key, code(GgufType::i32), values.size());
  append_all(pairs_, values);
}

void GgufWriter::add_f32s(std::string_view key, std::span<const float> values) {
  begin_list(key, code(GgufType::f32), values.size());
  append_all(pairs_, values);
}

uint64_t GgufWriter::write(const fs::path& file, std::span<const GgufTensorToWrite> tensors,
                           const std::function<void(size_t, std::span<float>)>& read) const {
  std::string head = "GGUF";
  append(head, uint32_t{3});
  append(head, uint64_t{tensors.size()});
  append(head, count_);
  head += pairs_;
  uint64_t offset = 0;
  for (const GgufTensorToWrite& tensor : tensors) {
    append_string(head, tensor.name);
    append(head, static_cast<uint32_t>(tensor.shape.size()));
    for (auto dim = tensor.shape.rbegin(); dim != tensor.shape.rend(); ++dim) append(head, static_cast<uint64_t>(*dim));
    append(head, static_cast<uint32_t>(tensor.type));
    append(head, offset);
    offset += bytes_of(tensor);
    offset += padding(offset);
  }
  head.append(padding(head.size()), '\0');
  AtomicFile out(file);
  out.write(head);
  const std::string zeros(kAlignment, '\0');
  for (size_t i = 0; i < tensors.size(); ++i) {
    std::vector<float> numbers(static_cast<size_t>(numbers_of(tensors[i])));
    std::vector<std::byte> bytes(bytes_of(tensors[i]));
    read(i, numbers);
    quantize(tensors[i].type, numbers, bytes);
    out.write(bytes);
    out.write(std::string_view(zeros).substr(0, padding(bytes.size())));
  }
  out.commit();
  return head.size() + offset;
}

}  // namespace mfa
