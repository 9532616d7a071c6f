#include "capacity/decode_rates_json.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "base/error.h"

namespace mfa {
namespace {

constexpr std::array<std::string_view, 3> kKinds = {"apart", "rotated", "shared"};
constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::i8};

void refuse_others(const Json& json, std::initializer_list<std::string_view> known, std::string_view where) {
  for (const auto& [key, value] : json.items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      bad_input("[{}] unknown key, got {}, expected {}", where, key, fmt::join(known, ", "));
}

OrderedJson curve_to_json(const RateCurve& curve) { return {{"sizes", curve.sizes}, {"seconds", curve.seconds}}; }

std::vector<double> positive_numbers(const Json& json, std::string_view key, std::string_view where) {
  std::vector<double> numbers;
  for (const Json& item : get_array(json, key, where)) {
    const double number = item.is_number() ? item.get<double>() : 0;
    if (!(number > 0 && number < 1e30))
      bad_input("[{}] {}, got {}, expected positive numbers", where, key, item.dump());
    numbers.push_back(number);
  }
  return numbers;
}

RateCurve curve_from_json(const Json& parent, std::string_view name, std::string_view parent_where) {
  const std::string where = fmt::format("{}: {}", parent_where, name);
  const Json& json = get_object(parent, name, parent_where);
  refuse_others(json, {"sizes", "seconds"}, where);
  RateCurve curve{positive_numbers(json, "sizes", where), positive_numbers(json, "seconds", where)};
  if (curve.sizes.empty() || curve.sizes.size() != curve.seconds.size())
    bad_input("[{}] {} sizes and {} seconds, expected as many of both, at least one", where, curve.sizes.size(),
              curve.seconds.size());
  for (size_t i = 1; i < curve.sizes.size(); ++i)
    if (!(curve.sizes[i] > curve.sizes[i - 1]))
      bad_input("[{}] sizes, got {} after {}, expected growing ones", where, curve.sizes[i], curve.sizes[i - 1]);
  return curve;
}

DType type_from_json(const Json& json, std::string_view key, std::string_view where) {
  const std::string name = get_string(json, key, where);
  for (const DType type : kTypes)
    if (name == name_of(type)) return type;
  bad_input("[{}] {}, got {}, expected f32, bf16 or i8", where, key, name);
}

CacheKind kind_from_json(const Json& json, std::string_view where) {
  const std::string name = get_string(json, "kind", where);
  const auto found = std::find(kKinds.begin(), kKinds.end(), name);
  if (found == kKinds.end()) bad_input("[{}] kind, got {}, expected {}", where, name, fmt::join(kKinds, ", "));
  return static_cast<CacheKind>(found - kKinds.begin());
}

// A prediction looks all of these up; what is missing would count as nothing.
void refuse_gaps(const DecodeRates& rates, std::string_view where) {
  for (const DType weights : {DType::f32, DType::bf16})
    if (std::none_of(rates.products.begin(), rates.products.end(),
                     [&](const ProductRates& r) { return r.weights == weights; }))
      bad_input("[{}] products, got none with {} weights, expected f32 and bf16", where, name_of(weights));
  for (const DType kv : {DType::f32, DType::bf16, DType::i8})
    for (const CacheKind kind : {CacheKind::apart, CacheKind::rotated, CacheKind::shared})
      if (std::none_of(rates.attention.begin(), rates.attention.end(),
                       [&](const AttentionRates& r) { return r.kv == kv && r.kind == kind; }))
        bad_input("[{}] attention, got none over {} caches of kind {}, expected f32, bf16 and i8 of each kind", where,
                  name_of(kv), kKinds[static_cast<size_t>(kind)]);
}

// Each curve of VectorRates with its key.
template <class Rates, class Visit>
void visit_vectors(Rates& rates, Visit visit) {
  visit("norm", rates.norm);
  visit("add", rates.add);
  visit("rope", rates.rope);
  visit("swiglu", rates.swiglu);
  visit("append", rates.append);
}

}  // namespace

OrderedJson decode_rates_to_json(const DecodeRates& rates) {
  OrderedJson products = OrderedJson::array(), attention = OrderedJson::array(), vectors = OrderedJson::object();
  for (const ProductRates& r : rates.products)
    products.push_back({{"weights", name_of(r.weights)},
                        {"by_numbers", curve_to_json(r.by_numbers)},
                        {"by_rows", curve_to_json(r.by_rows)}});
  for (const AttentionRates& r : rates.attention)
    attention.push_back({{"kv", name_of(r.kv)},
                         {"kind", kKinds[static_cast<size_t>(r.kind)]},
                         {"dim", r.dim},
                         {"alone", curve_to_json(r.alone)},
                         {"together", curve_to_json(r.together)}});
  visit_vectors(rates.vectors, [&](const char* key, const RateCurve& curve) { vectors[key] = curve_to_json(curve); });
  return {{"threads", rates.threads}, {"products", products}, {"attention", attention}, {"vectors", vectors}};
}

DecodeRates decode_rates_from_json(const Json& json, std::string_view where) {
  refuse_others(json, {"threads", "products", "attention", "vectors"}, where);
  DecodeRates rates;
  rates.threads = get_int(json, "threads", where, 1, 1 << 20);
  for (const Json& item : get_array(json, "products", where)) {
    const std::string at = fmt::format("{}: products", where);
    refuse_others(item, {"weights", "by_numbers", "by_rows"}, at);
    rates.products.push_back({type_from_json(item, "weights", at), curve_from_json(item, "by_numbers", at),
                              curve_from_json(item, "by_rows", at)});
  }
  for (const Json& item : get_array(json, "attention", where)) {
    const std::string at = fmt::format("{}: attention", where);
    refuse_others(item, {"kv", "kind", "dim", "alone", "together"}, at);
    rates.attention.push_back({type_from_json(item, "kv", at), kind_from_json(item, at),
                               get_int(item, "dim", at, 1, 1 << 20), curve_from_json(item, "alone", at),
                               curve_from_json(item, "together", at)});
  }
  const Json& vectors = get_object(json, "vectors", where);
  const std::string at = fmt::format("{}: vectors", where);
  refuse_others(vectors, {"norm", "add", "rope", "swiglu", "append"}, at);
  visit_vectors(rates.vectors, [&](const char* key, RateCurve& curve) { curve = curve_from_json(vectors, key, at); });
  refuse_gaps(rates, where);
  return rates;
}

}  // namespace mfa
