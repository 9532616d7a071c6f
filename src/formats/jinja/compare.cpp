// Equality, order and hashing of values, as Python defines them.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "formats/jinja/value.h"

namespace mfa::jinja {
namespace {

// long double holds every int64 exactly.
long double exact(const Value& value) {
  return value.is(Kind::floating) ? static_cast<long double>(value.as_double())
                                  : static_cast<long double>(value.as_integer());
}

bool equal_items(const Items& a, const Items& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!same(a[i], b[i]) && !equal(a[i], b[i])) return false;
  }
  return true;
}

bool equal_dicts(const DictObject& a, const DictObject& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = b.find(key);
    if (other == nullptr || (!same(value, *other) && !equal(value, *other))) return false;
  }
  return true;
}

bool equal_ranges(const RangeObject& a, const RangeObject& b) {
  const int64_t count = a.length();
  if (count != b.length()) return false;
  return count == 0 || (a.start == b.start && (count == 1 || a.step == b.step));
}

// keys() and items() are sets; values() equal only themselves.
bool equal_views(const Value& a, const Value& b) {
  const std::string_view name = a.as<ItemsObject>().name, other = b.as<ItemsObject>().name;
  if (name == "dict_values" || other == "dict_values" || a.items().size() != b.items().size()) return false;
  return std::all_of(a.items().begin(), a.items().end(), [&](const Value& item) {
    return std::any_of(b.items().begin(), b.items().end(), [&](const Value& candidate) {
      charge_steps(1);
      return equal(item, candidate);
    });
  });
}

int sign(bool less, bool greater) { return less ? -1 : greater ? 1 : 0; }

}  // namespace

bool same(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  if (a.object() != nullptr || b.object() != nullptr) return a.object() == b.object();
  return a.is(Kind::floating) ? false : a.as_integer() == b.as_integer();
}

bool equal(const Value& a, const Value& b) {
  charge_steps(1);
  if (a.is_number() && b.is_number()) return exact(a) == exact(b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::missing:
    case Kind::undefined:
    case Kind::none:
      return true;
    case Kind::string:
      charge_copy(std::min(a.text().size(), b.text().size()));
      return a.text() == b.text();
    case Kind::list:
    case Kind::tuple:
      return equal_items(a.items(), b.items());
    case Kind::dict:
      return equal_dicts(a.as<DictObject>(), b.as<DictObject>());
    case Kind::range:
      return equal_ranges(a.as<RangeObject>(), b.as<RangeObject>());
    case Kind::view:
      return same(a, b) || equal_views(a, b);
    case Kind::function:
      return a.as<FunctionObject>().native == b.as<FunctionObject>().native &&
             same(a.as<FunctionObject>().self, b.as<FunctionObject>().self);
    default:
      return same(a, b);
  }
}

int compare(const Value& a, const Value& b, std::string_view operation) {
  charge_steps(1);
  for (const Value* value : {&a, &b}) {
    if (value->is(Kind::undefined)) fault("{}", value->as<UndefinedObject>().message);
  }
  if (a.is_number() && b.is_number()) {
    const long double x = exact(a), y = exact(b);
    return std::isnan(x) || std::isnan(y) ? 2 : sign(x<y, x> y);
  }
  if (a.is(Kind::string) && b.is(Kind::string)) {
    charge_copy(std::min(a.text().size(), b.text().size()));
    const int order = a.text().compare(b.text());  // UTF-8 keeps the order of code points
    return sign(order<0, order> 0);
  }
  if (a.is_sequence() && a.kind() == b.kind()) {
    const Items &x = a.items(), &y = b.items();
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!same(x[i], y[i]) && !equal(x[i], y[i])) return compare(x[i], y[i], operation);
    }
    return sign(x.size() < y.size(), x.size() > y.size());
  }
  fault("'{}' not supported between instances of '{}' and '{}'", operation, type_name(a), type_name(b));
}

bool is_hashable(const Value& value) {
  if (value.is(Kind::tuple)) return std::all_of(value.items().begin(), value.items().end(), is_hashable);
  return !value.is(Kind::list) && !value.is(Kind::dict) && !value.is(Kind::view);
}

std::string hash_key(const Value& value) {
  if (!is_hashable(value)) fault("unhashable type: '{}'", type_name(value));
  switch (value.kind()) {
    case Kind::string:
      charge_copy(value.text().size());
      return "s" + value.text();
    case Kind::boolean:
    case Kind::integer:
      return fmt::format("i{}", value.as_integer());
    case Kind::floating: {
      const double number = value.as_double();
      const bool whole = number >= -0x1p63 && number < 0x1p63 && std::trunc(number) == number;
      return whole ? fmt::format("i{}", static_cast<int64_t>(number)) : fmt::format("f{:a}", number);
    }
    case Kind::none:
      return "n";
    case Kind::undefined:
      return "u";
    case Kind::tuple: {
      Text key;
      key.append("t");
      for (const Value& item : value.items()) {
        const std::string part = hash_key(item);
        key.append(fmt::format("{}:", part.size()));
        key.append(part);
      }
      return key.take();
    }
    case Kind::range: {
      const RangeObject& range = value.as<RangeObject>();
      const int64_t count = range.length();
      return fmt::format("r{},{},{}", count, count > 0 ? range.start : 0, count > 1 ? range.step : 0);
    }
    default:
      return fmt::format("o{}", static_cast<const void*>(value.object()));
  }
}

}  // namespace mfa::jinja
