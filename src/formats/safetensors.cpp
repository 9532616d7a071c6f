#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "formats/half.h"
#include "formats/json_stream.h"

namespace mfa {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // the format's own limit, in bytes
// Published shards have below 100,000 tensors. With these limits a header takes no more memory than its own size and
// some 50 MB, whatever it holds.
constexpr size_t kMostTensors = 1 << 17, kMostMetadata = 1 << 16;
constexpr int kMostParts = 100;  // keys, numbers and brackets of one tensor's entry
constexpr size_t kLengthBytes = 8;
constexpr size_t kAlignment = 64;
constexpr std::string_view kMetadata = "__metadata__";
constexpr std::string_view kIndexName = "model.safetensors.index.json";

constexpr std::array<std::pair<std::string_view, DType>, 7> kTypes = {{{"F32", DType::f32},
                                                                       {"F64", DType::f64},
                                                                       {"BF16", DType::bf16},
                                                                       {"F16", DType::f16},
                                                                       {"I32", DType::i32},
                                                                       {"I8", DType::i8},
                                                                       {"U8", DType::u8}}};

std::string_view stored_name(DType type) {
  return std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& entry) { return entry.second == type; })->first;
}

DType parse_type(const std::string& name, std::string_view where) {
  const auto found = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& entry) { return entry.first == name; });
  if (found == kTypes.end()) bad_input("[{}] dtype, got {}, expected F64, F32, BF16, F16, I32, I8 or U8", where, name);
  return found->second;
}

// Numbers × bytes of one number, or nothing where that does not fit into 63 bits.
std::optional<int64_t> bytes_of(std::span<const int64_t> shape, DType type) {
  int64_t bytes = static_cast<int64_t>(size_of(type));
  for (const int64_t n : shape) {
    if (n < 0 || __builtin_mul_overflow(bytes, n, &bytes)) return std::nullopt;
  }
  return bytes;
}

std::string shown(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

// One entry of the header; `data` is everything behind the header.
StoredTensor parse_tensor(const Json& entry, std::span<const std::byte> data, std::string_view where) {
  StoredTensor tensor;
  tensor.type = parse_type(get_string(entry, "dtype", where), where);
  for (const Json& n : get_array(entry, "shape", where)) {
    tensor.shape.push_back(as_int(n, "shape", where, 0, std::numeric_limits<int64_t>::max()));
  }
  const Json& offsets = get_array(entry, "data_offsets", where);
  if (offsets.size() != 2) bad_input("[{}] data_offsets, got {} numbers, expected 2", where, offsets.size());
  const int64_t size = static_cast<int64_t>(data.size());
  const int64_t begin = as_int(offsets[0], "data_offsets", where, 0, size);
  const int64_t end = as_int(offsets[1], "data_offsets", where, begin, size);
  const std::optional<int64_t> expected = bytes_of(tensor.shape, tensor.type);
  if (!expected || *expected != end - begin) {
    bad_input("[{}] data_offsets, got {} bytes, expected those of shape {} in {}", where, end - begin,
              shown(tensor.shape), name_of(tensor.type));
  }
  tensor.bytes = data.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  return tensor;
}

// The format wants the tensors to tile the data: no overlap (two names for one memory), no hole (hidden content).
void check_tiling(const std::map<std::string, StoredTensor>& tensors, std::span<const std::byte> data,
                  std::string_view where) {
  std::vector<std::pair<std::span<const std::byte>, const std::string*>> parts;
  for (const auto& [name, tensor] : tensors) parts.emplace_back(tensor.bytes, &name);
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.data(), a.first.size()) < std::pair(b.first.data(), b.first.size());
  });
  const std::byte* at = data.data();
  for (const auto& [bytes, name] : parts) {
    if (bytes.data() != at) {
      bad_input("[{}] tensor {} begins at byte {} of the data, expected {} ({})", where, *name,
                bytes.data() - data.data(), at - data.data(), bytes.data() < at ? "overlap" : "hole");
    }
    at += bytes.size();
  }
  if (at != data.data() + data.size()) {
    bad_input("[{}] the tensors take {} bytes, got {} bytes of data", where, at - data.data(), data.size());
  }
}

struct SplitFile {
  std::string_view header;
  std::span<const std::byte> data;
};

SplitFile split_file(const MappedFile& file, const std::string& where) {
  if (file.size() < kLengthBytes) bad_input("[{}] not a safetensors file: only {} bytes", where, file.size());
  uint64_t length;
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(&length, file.bytes().data(), kLengthBytes);
  const uint64_t limit = std::min<uint64_t>(kMaxHeader, file.size() - kLengthBytes);
  if (length > limit) bad_input("[{}] length of the header, got {}, expected at most {}", where, length, limit);
  return {file.text().substr(kLengthBytes, length), file.bytes().subspan(kLengthBytes + length)};
}

// Calls take(name, entry) for each member of the header and forgets it: no document of the whole header is built.
void for_each_entry(std::string_view header, const std::string& where,
                    const std::function<void(const std::string&, const Json&)>& take) {
  using Event = Json::parse_event_t;
  std::string name;
  int64_t parts = 0;
  parse_json_stream(header, where, [&](int depth, Event event, const Json& parsed) {
    const bool complete = event == Event::object_end || event == Event::array_end || event == Event::value;
    if (depth == 0 && event != Event::object_start && event != Event::object_end)
      bad_input("[{}] header, expected an object", where);
    if (depth == 0) return true;
    if (depth == 1 && event == Event::key) {
      name = parsed.get<std::string>();
      parts = 0;
    }
    const int64_t most = name == kMetadata ? 2 * static_cast<int64_t>(kMostMetadata) : kMostParts;
    if (++parts > most) bad_input("[{}: {}] entry, got over {} keys and values", where, name, most);
    if (depth > 1 || !complete) return true;
    take(name, parsed);
    return false;
  });
}

bool is_inside(std::span<const std::byte> part, std::span<const std::byte> whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

// shard file name → the tensors that the index promises in it
std::map<std::string, std::vector<std::string>> read_index(const fs::path& index) {
  const std::string where = index.string();
  const Json json = parse_json(read_file(index), where);
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [tensor, file] : get_object(json, "weight_map", where).items()) {
    // A shard lies beside its index; anything with a folder in it could point anywhere on the machine.
    const std::string name = file.is_string() ? file.get<std::string>() : std::string();
    if (name.empty() || name.find('\0') != std::string::npos || name == ".." || fs::path(name).filename() != name) {
      bad_input("[{}] file of tensor {}, got {}, expected a plain file name", where, tensor, file.dump());
    }
    shards[name].push_back(tensor);
  }
  return shards;
}

// memcpy, because nothing promises that a tensor begins at a multiple of its number's size.
template <class T, class F>
void convert(std::span<const std::byte> bytes, std::span<float> dst, F to_float_of) {
  for (size_t i = 0; i < dst.size(); ++i) {
    T x;
    std::memcpy(&x, bytes.data() + i * sizeof(T), sizeof(T));
    dst[i] = to_float_of(x);
  }
}

std::string quoted(const std::string& text) { return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string make_header(std::span<const TensorToWrite> tensors, const std::map<std::string, std::string>& metadata,
                        const std::string& where) {
  std::string text = "{\"__metadata__\":{";
  for (const auto& [key, value] : metadata) text += fmt::format("{}:{},", quoted(key), quoted(value));
  text.back() = '}';  // instead of the last comma: metadata is never empty
  std::set<std::string_view> names{"__metadata__"};
  int64_t begin = 0;
  for (const TensorToWrite& tensor : tensors) {
    const std::optional<int64_t> bytes = bytes_of(tensor.shape, tensor.type);
    if (!bytes || static_cast<size_t>(*bytes) != tensor.bytes.size()) {
      bad_input("[{}] tensor {}, got {} bytes, expected those of shape {} in {}", where, tensor.name,
                tensor.bytes.size(), shown(tensor.shape), name_of(tensor.type));
    }
    if (!names.insert(tensor.name).second) bad_input("[{}] the name {} is already taken", where, tensor.name);
    text += fmt::format(R"(,{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", quoted(tensor.name),
                        stored_name(tensor.type), fmt::join(tensor.shape, ","), begin, begin + *bytes);
    begin += *bytes;
  }
  text += '}';
  // The format forbids holes between tensors but lets spaces end the header: the data begin on a cache line, and stay
  // there from tensor to tensor as long as sizes are multiples of it.
  text.resize((kLengthBytes + text.size() + kAlignment - 1) / kAlignment * kAlignment - kLengthBytes, ' ');
  if (text.size() > kMaxHeader) bad_input("[{}] {} tensors need a header over 100 MB", where, tensors.size());
  return text;
}

}  // namespace

int64_t StoredTensor::size() const { return static_cast<int64_t>(bytes.size() / size_of(type)); }

SafetensorsReader::SafetensorsReader(const fs::path& file_or_folder) {
  std::error_code none;  // a path that cannot be looked at is reported when it is opened
  const bool folder = fs::is_directory(file_or_folder, none);
  const fs::path single = folder ? file_or_folder / "model.safetensors" : file_or_folder;
  const fs::path index = folder ? file_or_folder / kIndexName : file_or_folder;
  if (folder && !fs::exists(single, none) && !fs::exists(index, none)) {
    bad_input("[{}] no model.safetensors and no {} in this folder", file_or_folder.string(), kIndexName);
  }
  if ((folder && fs::exists(single, none)) || index.extension() != ".json") {
    open(single);
    return;
  }
  for (const auto& [shard, names] : read_index(index)) {
    open(index.parent_path() / shard);
    for (const std::string& name : names) {
      const auto found = tensors_.find(name);
      if (found == tensors_.end() || !is_inside(found->second.bytes, files_.back().bytes())) {
        bad_input("[{}] tensor {} is not in {}", index.string(), name, shard);
      }
    }
  }
}

void SafetensorsReader::open(const fs::path& path) {
  const std::string where = path.string();
  const MappedFile& file = files_.emplace_back(path);
  const SplitFile split = split_file(file, where);
  std::map<std::string, StoredTensor> tensors;
  for_each_entry(split.header, where, [&](const std::string& name, const Json& entry) {
    if (name == kMetadata) {
      if (!entry.is_object()) bad_input("[{}] {}, got {}, expected an object", where, name, entry.type_name());
      for (const auto& item : entry.items()) metadata_[item.key()] = get_string(entry, item.key(), where);
      return;
    }
    if (tensors_.contains(name)) bad_input("[{}] tensor {} is already in another shard", where, name);
    if (tensors.size() >= kMostTensors) bad_input("[{}] tensors, got over {}", where, kMostTensors);
    const auto [at, fresh] = tensors.emplace(name, parse_tensor(entry, split.data, where + ": " + name));
    if (!fresh) bad_input("[{}] tensor {} stands there twice", where, name);
  });
  check_tiling(tensors, split.data, where);
  tensors_.merge(tensors);
}

const StoredTensor& SafetensorsReader::get(const std::string& name, std::span<const int64_t> shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) bad_input("[safetensors] tensor {} is missing", name);
  const StoredTensor& tensor = found->second;
  if (!std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end())) {
    bad_input("[safetensors] shape of {}, got {}, expected {}", name, shown(tensor.shape), shown(shape));
  }
  return tensor;
}

void to_f32(const StoredTensor& tensor, std::span<float> dst) {
  if (static_cast<int64_t>(dst.size()) != tensor.size()) {
    bad_input("[safetensors] numbers in a tensor, got {}, expected {}", tensor.size(), dst.size());
  }
  switch (tensor.type) {
    case DType::f32:
      return convert<float>(tensor.bytes, dst, [](float x) { return x; });
    case DType::f64:
      return convert<double>(tensor.bytes, dst, [](double x) { return static_cast<float>(x); });
    case DType::bf16:
      return convert<bf16>(tensor.bytes, dst, [](bf16 x) { return to_float(x); });
    case DType::f16:
      return convert<uint16_t>(tensor.bytes, dst, f16_to_float);
    default:
      bad_input("[safetensors] type of a tensor, got {}, expected f32, f64, bf16 or f16", name_of(tensor.type));
  }
}

void write_safetensors(const fs::path& file, std::span<const TensorToWrite> tensors,
                       std::map<std::string, std::string> metadata) {
  metadata.try_emplace("format", "pt");
  const std::string header = make_header(tensors, metadata, file.string());
  const uint64_t length = header.size();
  AtomicFile out(file);
  out.write(std::as_bytes(std::span(&length, 1)));
  out.write(header);
  for (const TensorToWrite& tensor : tensors) out.write(tensor.bytes);
  out.commit();
}

}  // namespace mfa
