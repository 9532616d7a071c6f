#include "formats/gguf.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "formats/json.h"

namespace mfa {

static_assert(std::endian::native == std::endian::little);

namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint64_t kDefaultAlignment = 32;
// Published files have below 100 pairs and, at most, some thousand tensors. The limits keep a file of many tiny entries
// from taking more memory than itself.
constexpr uint64_t kMostPairs = 1 << 16, kMostTensors = 1 << 17;
constexpr uint64_t kLongestName = 65535;  // the format's own limit for keys
constexpr int kMostDims = 4;
constexpr int kDeepestList = 4;

// Bytes of a number or bool in the file; 0 for what has no fixed size.
constexpr uint64_t bytes_of(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean:
      return 1;
    case GgufType::u16:
    case GgufType::i16:
      return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32:
      return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64:
      return 8;
    case GgufType::string:
    case GgufType::list:
      return 0;
  }
  return 0;
}

template <class T>
T load(std::string_view bytes, uint64_t index = 0) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

std::optional<int64_t> int_at(GgufType type, std::string_view bytes, uint64_t i) {
  switch (type) {
    case GgufType::u8:
      return load<uint8_t>(bytes, i);
    case GgufType::i8:
      return load<int8_t>(bytes, i);
    case GgufType::u16:
      return load<uint16_t>(bytes, i);
    case GgufType::i16:
      return load<int16_t>(bytes, i);
    case GgufType::u32:
      return load<uint32_t>(bytes, i);
    case GgufType::i32:
      return load<int32_t>(bytes, i);
    case GgufType::i64:
      return load<int64_t>(bytes, i);
    case GgufType::u64: {
      const auto value = load<uint64_t>(bytes, i);
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> double_at(GgufType type, std::string_view bytes, uint64_t i) {
  if (type == GgufType::f32) return load<float>(bytes, i);
  if (type == GgufType::f64) return load<double>(bytes, i);
  const std::optional<int64_t> value = int_at(type, bytes, i);
  return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
}

// Names come from the file: quoted, on one line, not endless.
std::string quoted(std::string_view text) {
  const std::string head(text.substr(0, 80));
  return Json(head).dump(-1, ' ', false, Json::error_handler_t::replace) + (text.size() > 80 ? "…" : "");
}

std::string_view name_of(GgufType type) {
  constexpr std::string_view names[] = {"u8",   "i8",     "u16",    "i16", "u32", "i32", "f32",
                                        "bool", "string", "a list", "u64", "i64", "f64"};
  return names[static_cast<size_t>(type)];
}

}  // namespace

// Reads forward through the bytes of the file; every length is checked against the bytes left.
class GgufFile::Reader {
 public:
  Reader(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  uint64_t position() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }

  std::string_view take(uint64_t n, std::string_view what) {
    if (n > left()) bad_input("[{}] the file ends inside {}: it needs {} bytes, {} are left", where_, what, n, left());
    const std::string_view taken = bytes_.substr(at_, n);
    at_ += n;
    return taken;
  }
  template <class T>
  T number(std::string_view what) {
    return load<T>(take(sizeof(T), what));
  }
  std::string_view string(std::string_view what) { return take(number<uint64_t>(what), what); }
  std::string_view name(std::string_view what) {
    const std::string_view name = string(what);
    if (name.empty() || name.size() > kLongestName)
      bad_input("[{}] length of {}, got {}, expected 1 to {}", where_, what, name.size(), kLongestName);
    return name;
  }
  GgufType type(std::string_view what) {
    const auto type = number<uint32_t>(what);
    if (type > static_cast<uint32_t>(GgufType::f64))
      bad_input("[{}] type of {}, got {}, expected 0 to 12", where_, what, type);
    return static_cast<GgufType>(type);
  }

  // `count` elements of a list. Each takes at least its own length's bytes, so the count is checked before any loop.
  std::string_view elements(GgufType type, uint64_t count, std::string_view what, int depth) {
    const uint64_t begin = at_;
    const uint64_t least = type == GgufType::string ? 8 : type == GgufType::list ? 12 : bytes_of(type);
    if (count > left() / least)
      bad_input("[{}] {} claims {} values, only {} bytes are left", where_, what, count, left());
    if (bytes_of(type) > 0) return take(count * bytes_of(type), what);
    if (type == GgufType::list && depth >= kDeepestList)
      bad_input("[{}] {} nests lists deeper than {}", where_, what, kDeepestList);
    for (uint64_t i = 0; i < count; ++i) {
      if (type == GgufType::string) {
        string(what);
      } else {
        const GgufType inner = this->type(what);
        elements(inner, number<uint64_t>(what), what, depth + 1);
      }
    }
    return bytes_.substr(begin, at_ - begin);
  }

 private:
  std::string_view bytes_;
  const std::string& where_;
  uint64_t at_ = 0;
};

std::optional<int64_t> GgufValue::as_int() const {
  return type_ == GgufType::list ? std::nullopt : int_at(type_, bytes_, 0);
}

std::optional<double> GgufValue::as_double() const {
  return type_ == GgufType::list ? std::nullopt : double_at(type_, bytes_, 0);
}

std::optional<bool> GgufValue::as_bool() const {
  return type_ == GgufType::boolean ? std::optional(bytes_[0] != 0) : std::nullopt;
}

std::optional<std::string_view> GgufValue::as_string() const {
  return type_ == GgufType::string ? std::optional(bytes_) : std::nullopt;
}

std::optional<std::vector<int64_t>> GgufValue::as_ints() const {
  if (type_ != GgufType::list || bytes_of(element_) == 0) return std::nullopt;
  std::vector<int64_t> values(count_);
  for (uint64_t i = 0; i < count_; ++i) {
    const std::optional<int64_t> value = int_at(element_, bytes_, i);
    if (!value) return std::nullopt;
    values[i] = *value;
  }
  return values;
}

std::optional<std::vector<double>> GgufValue::as_doubles() const {
  if (type_ != GgufType::list || bytes_of(element_) == 0) return std::nullopt;
  std::vector<double> values(count_);
  for (uint64_t i = 0; i < count_; ++i) {
    const std::optional<double> value = double_at(element_, bytes_, i);
    if (!value) return std::nullopt;
    values[i] = *value;
  }
  return values;
}

std::optional<std::vector<std::string_view>> GgufValue::as_strings() const {
  if (type_ != GgufType::list || element_ != GgufType::string) return std::nullopt;
  std::vector<std::string_view> values(count_);
  std::string_view rest = bytes_;
  for (std::string_view& value : values) {
    const auto length = load<uint64_t>(rest);
    value = rest.substr(8, length);
    rest.remove_prefix(8 + length);
  }
  return values;
}

std::string GgufValue::shown() const {
  if (type_ == GgufType::list) return fmt::format("list of {} {}", count_, name_of(element_));
  if (type_ == GgufType::string) return quoted(bytes_);
  if (type_ == GgufType::boolean) return bytes_[0] != 0 ? "true" : "false";
  if (const auto value = as_int()) return fmt::format("{}", *value);
  if (type_ == GgufType::u64) return fmt::format("{}", load<uint64_t>(bytes_));
  return type_ == GgufType::f32 ? fmt::format("{}", load<float>(bytes_)) : fmt::format("{}", *as_double());
}

int64_t GgufTensor::size() const {
  const GgmlLayout layout = layout_of(type);
  return static_cast<int64_t>(bytes.size()) / layout.bytes * layout.numbers;
}

GgufFile::GgufFile(const fs::path& path) : where_(path.string()), file_(path) {
  Reader in(file_.text(), where_);
  if (file_.size() < 24 || in.take(4, "the magic") != kMagic) bad_input("[{}] is not a GGUF file", where_);
  version_ = in.number<uint32_t>("the version");
  if (version_ >> 16 != 0 && (version_ & 0xffffu) == 0)
    bad_input("[{}] is a big-endian GGUF file, expected little-endian", where_);
  if (version_ != 2 && version_ != 3) bad_input("[{}] GGUF version, got {}, expected 2 or 3", where_, version_);
  const auto tensors = in.number<uint64_t>("the header"), pairs = in.number<uint64_t>("the header");
  if (tensors > kMostTensors) bad_input("[{}] tensors, got {}, expected at most {}", where_, tensors, kMostTensors);
  if (pairs > kMostPairs) bad_input("[{}] metadata pairs, got {}, expected at most {}", where_, pairs, kMostPairs);
  read_metadata(in, pairs);
  const auto alignment = static_cast<uint64_t>(
      find_int("general.alignment", 1, std::numeric_limits<uint32_t>::max()).value_or(kDefaultAlignment));
  if (!std::has_single_bit(alignment))
    bad_input("[{}] general.alignment, got {}, expected a power of two", where_, alignment);
  std::vector<Extent> extents;
  for (uint64_t i = 0; i < tensors; ++i) extents.push_back(read_tensor(in, alignment));
  if (tensors == 0) return;
  const uint64_t padding = (alignment - in.position() % alignment) % alignment;
  in.take(padding, "the padding before the data");
  place_tensors(std::move(extents), file_.bytes().subspan(in.position()));
}

void GgufFile::read_metadata(Reader& in, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view key = in.name("a metadata key");
    const std::string what = "metadata " + quoted(key);
    GgufValue value;
    value.type_ = in.type(what);
    if (value.type_ == GgufType::list) {
      value.element_ = in.type(what);
      value.count_ = in.number<uint64_t>(what);
      value.bytes_ = in.elements(value.element_, value.count_, what, 1);
    } else {
      value.bytes_ = value.type_ == GgufType::string ? in.string(what) : in.take(bytes_of(value.type_), what);
    }
    if (!metadata_.emplace(key, value).second) bad_input("[{}] {} stands there twice", where_, what);
  }
}

GgufFile::Extent GgufFile::read_tensor(Reader& in, uint64_t alignment) {
  const std::string_view name = in.name("a tensor's name");
  const std::string what = "tensor " + quoted(name);
  const auto dims = in.number<uint32_t>(what);
  if (dims < 1 || dims > kMostDims)
    bad_input("[{}] dims of {}, got {}, expected 1 to {}", where_, what, dims, kMostDims);
  GgufTensor tensor;
  for (uint32_t d = 0; d < dims; ++d) {
    const auto size = in.number<uint64_t>(what);
    if (size < 1 || size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      bad_input("[{}] size of a dim of {}, got {}, expected at least 1", where_, what, size);
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
  }
  const auto type = in.number<uint32_t>(what);
  const std::optional<GgmlLayout> layout = ggml_layout(type);
  if (!layout)
    bad_input("[{}] type of {}, got {} ({}), which is not supported", where_, what, type, ggml_type_name(type));
  tensor.type = static_cast<GgmlType>(type);
  const auto begin = in.number<uint64_t>(what);
  if (begin % alignment != 0)
    bad_input("[{}] offset of {}, got {}, expected a multiple of {}", where_, what, begin, alignment);
  if (tensor.shape.back() % layout->numbers != 0)
    bad_input("[{}] rows of {}, got {} numbers, expected whole {} blocks of {}", where_, what, tensor.shape.back(),
              layout->name, layout->numbers);
  int64_t bytes = layout->bytes;  // of one block; the row's blocks and the other dims follow
  for (size_t d = 0; d < tensor.shape.size(); ++d) {
    const int64_t n = d + 1 == tensor.shape.size() ? tensor.shape[d] / layout->numbers : tensor.shape[d];
    if (__builtin_mul_overflow(bytes, n, &bytes)) bad_input("[{}] {} has over 2^63 bytes", where_, what);
  }
  uint64_t end;
  if (__builtin_add_overflow(begin, static_cast<uint64_t>(bytes), &end))
    bad_input("[{}] offset of {}, got {}, which no file has", where_, what, begin);
  const auto [entry, fresh] = tensors_.emplace(name, std::move(tensor));
  if (!fresh) bad_input("[{}] {} stands there twice", where_, what);
  return {begin, end, entry->first};
}

void GgufFile::place_tensors(std::vector<Extent> extents, std::span<const std::byte> data) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  uint64_t free_from = 0;
  for (const Extent& e : extents) {
    if (e.begin < free_from)
      bad_input("[{}] tensor {} begins at {}, inside another one, expected at least {}", where_, quoted(e.name),
                e.begin, free_from);
    if (e.end > data.size())
      bad_input("[{}] tensor {} ends at {}, but there are only {} bytes of data", where_, quoted(e.name), e.end,
                data.size());
    tensors_.find(e.name)->second.bytes = data.subspan(e.begin, e.end - e.begin);
    free_from = e.end;
  }
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

bool is_gguf(const fs::path& path) {
  const MappedFile file(path);
  return file.text().starts_with(kMagic);
}

}  // namespace mfa
