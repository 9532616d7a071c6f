#include "capacity/hardware.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "capacity/decode_rates_json.h"
#include "capacity/hardware_table.h"

namespace mfa {
namespace {

// Every figure of a row with its key: what reading, checking and writing go by.
template <class Row, class Visit>
void visit_figures(Row& row, Visit visit) {
  visit("usd_per_hour", row.usd_per_hour);
  visit("bytes_per_s", row.bytes_per_s);
  visit("flops_f32", row.flops_f32);
  visit("flops_bf16", row.flops_bf16);
  visit("flops_8bit", row.flops_8bit);
  visit("memory_bytes", row.memory_bytes);
  visit("network_bytes_per_s", row.network_bytes_per_s);
  visit("threads", row.threads);
}

void read_figure(const Json& json, std::string_view key, std::string_view where, double& value) {
  // The largest machine that anyone may mean, and still far from where products of figures overflow.
  value = find_double(json, key, where, 0, 1e30).value_or(0);
}
void read_figure(const Json& json, std::string_view key, std::string_view where, int64_t& value) {
  value = find_int(json, key, where, 0, 1 << 20).value_or(0);
}

void refuse_unknown_keys(const Json& json, std::string_view where) {
  std::vector<std::string> known = {"name", "source", "decode"};
  Hardware none;
  visit_figures(none, [&](const char* key, auto&) { known.emplace_back(key); });
  for (const auto& [key, value] : json.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      bad_input("[{}] unknown key, got {}, expected {}", where, key, fmt::join(known, ", "));
  }
}

Hardware read_row(const Json& json, std::string_view document) {
  Hardware row;
  row.name = get_string(json, "name", document);
  // Names stand in lists that commas separate.
  if (row.name.empty() || row.name.find_first_of(", ") != std::string::npos)
    bad_input("[{}] name of hardware, got '{}', expected a word without commas and spaces", document, row.name);
  const std::string where = fmt::format("{}: {}", document, row.name);
  refuse_unknown_keys(json, where);
  row.source = find_string(json, "source", where).value_or("");
  visit_figures(row, [&](const char* key, auto& value) { read_figure(json, key, where, value); });
  if (json.contains("decode"))
    row.decode = decode_rates_from_json(get_object(json, "decode", where), fmt::format("{}: decode", where));
  if (!(row.bytes_per_s > 0)) bad_input("[{}] bytes_per_s, got none, expected a positive number", where);
  return row;
}

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

// In the place of the row of that name, or behind all.
void put(std::vector<Hardware>& rows, Hardware row) {
  const auto same =
      std::find_if(rows.begin(), rows.end(), [&](const Hardware& r) { return same_name(r.name, row.name); });
  if (same != rows.end())
    *same = std::move(row);
  else
    rows.push_back(std::move(row));
}

}  // namespace

double Hardware::flops(int64_t bits) const {
  double best = flops_f32;
  if (bits <= 16) best = std::max(best, flops_bf16);
  if (bits <= 8) best = std::max(best, flops_8bit);
  return best;
}

fs::path user_hardware_file() {
  const auto folder = [](const char* variable) -> fs::path {
    const char* value = std::getenv(variable);
    return value == nullptr ? "" : value;
  };
  if (const fs::path config = folder("XDG_CONFIG_HOME"); !config.empty()) return config / "mfa" / "hardware.json";
  const fs::path home = folder("HOME");
  return home.empty() ? home : home / ".config" / "mfa" / "hardware.json";
}

std::vector<Hardware> hardware_from_json(const Json& document, std::string_view where) {
  std::vector<Hardware> rows;
  for (const Json& item : get_array(document, "hardware", where)) {
    Hardware row = read_row(item, where);
    for (const Hardware& other : rows) {
      if (same_name(other.name, row.name))
        bad_input("[{}] two rows of one name, got {} and {}", where, other.name, row.name);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

OrderedJson hardware_to_json(std::span<const Hardware> rows) {
  OrderedJson list = OrderedJson::array();
  for (const Hardware& row : rows) {
    OrderedJson json = {{"name", row.name}};
    if (!row.source.empty()) json["source"] = row.source;
    visit_figures(row, [&](const char* key, auto value) {
      if (value != 0) json[key] = value;
    });
    if (row.decode.threads > 0) json["decode"] = decode_rates_to_json(row.decode);
    list.push_back(std::move(json));
  }
  return {{"hardware", std::move(list)}};
}

Hardware several(const Hardware& hardware, int64_t cards) {
  Hardware all = hardware;
  all.name = fmt::format("{}x{}", cards, hardware.name);
  for (double* figure :
       {&all.usd_per_hour, &all.bytes_per_s, &all.flops_f32, &all.flops_bf16, &all.flops_8bit, &all.memory_bytes})
    *figure *= static_cast<double>(cards);
  return all;
}

std::vector<Hardware> built_in_hardware() {
  return hardware_from_json(parse_json(kHardwareTable, "built-in hardware"), "built-in hardware");
}

std::vector<Hardware> load_hardware(const fs::path& file) {
  std::vector<Hardware> rows = built_in_hardware();
  const fs::path own = user_hardware_file();
  const fs::path path = !file.empty() ? file : path_exists(own) ? own : fs::path();
  if (path.empty()) return rows;
  for (Hardware& row : hardware_from_json(parse_json(read_file(path), path.string()), path.string()))
    put(rows, std::move(row));
  return rows;
}

void save_hardware(const fs::path& file, const Hardware& row) {
  std::vector<Hardware> rows;
  if (path_exists(file)) rows = hardware_from_json(parse_json(read_file(file), file.string()), file.string());
  put(rows, row);
  if (file.has_parent_path()) make_folder(file.parent_path());
  write_file(file, hardware_to_json(rows).dump(1) + "\n");
}

Hardware find_hardware(std::span<const Hardware> rows, std::string_view name) {
  std::vector<std::string_view> names;
  for (const Hardware& row : rows) {
    if (same_name(row.name, name)) return row;
    names.push_back(row.name);
  }
  bad_input("[hardware] unknown name, got {}, expected {}", name, fmt::join(names, ", "));
}

}  // namespace mfa
