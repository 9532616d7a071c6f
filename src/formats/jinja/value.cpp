#include "formats/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "formats/jinja/loop.h"
#include "formats/jinja/unicode.h"

namespace mfa::jinja {
namespace {

constexpr int kMaxDepth = 300;
constexpr size_t kSearchedEntries = 8;  // up to so many, looking at each is faster than hashing

std::shared_ptr<ItemsObject> make_items(Items items) { return std::make_shared<ItemsObject>(std::move(items)); }

int depth_of_entries(const std::vector<std::pair<Value, Value>>& entries) {
  int depth = 0;
  for (const auto& [key, value] : entries) depth = std::max({depth, key.depth(), value.depth()});
  return depth;
}

}  // namespace

Object::Object(uint64_t bytes, int nesting) : charge(bytes), depth(nesting) {
  if (nesting > kMaxDepth) fault("values nest deeper than {} levels", kMaxDepth);
}

TextObject::TextObject(std::string value, bool is_markup)
    : Object(sizeof(*this) + value.size(), 0),
      text(std::move(value)),
      length(count_code_points(text)),
      markup(is_markup) {}

ItemsObject::ItemsObject(Items values)
    : Object(sizeof(*this) + values.size() * sizeof(Value), depth_of(values) + 1), items(std::move(values)) {}

DictObject::DictObject(std::vector<std::pair<Value, Value>> pairs)
    : Object(sizeof(*this) + pairs.size() * (pairs.size() > kSearchedEntries ? 4 : 2) * sizeof(Value),
             depth_of_entries(pairs) + 1) {
  // Later values win, earlier places stay.
  for (auto& [key, value] : pairs) {
    if (const Value* old = find(key)) {
      *const_cast<Value*>(old) = std::move(value);
      continue;
    }
    entries.emplace_back(std::move(key), std::move(value));
    if (entries.size() == kSearchedEntries + 1) {
      for (size_t i = 0; i < entries.size(); ++i) index_.emplace(hash_key(entries[i].first), i);
    } else if (entries.size() > kSearchedEntries) {
      index_.emplace(hash_key(entries.back().first), entries.size() - 1);
    }
  }
}

const Value* DictObject::find(const Value& key) const {
  if (!is_hashable(key)) fault("unhashable type: '{}'", type_name(key));
  if (entries.size() > kSearchedEntries) {
    const auto found = index_.find(hash_key(key));
    return found == index_.end() ? nullptr : &entries[found->second].second;
  }
  for (const auto& [candidate, value] : entries) {
    if (equal(candidate, key)) return &value;
  }
  return nullptr;
}

int64_t RangeObject::length() const {
  if (step > 0 ? start >= stop : start <= stop) return 0;
  const auto span = static_cast<uint64_t>(step > 0 ? stop : start) - static_cast<uint64_t>(step > 0 ? start : stop);
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  return static_cast<int64_t>((span - 1) / stride + 1);
}

Value* SpaceObject::find(std::string_view name) {
  for (auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

void SpaceObject::set(std::string_view name, Value value) {
  if (name.starts_with('_')) fault("cannot store the underscore-prefixed attribute '{}' on a namespace", name);
  charge_steps(attributes.size() / 16);
  if (Value* old = find(name)) {
    std::swap(*old, value);  // what `value` now holds is freed last: freeing may be anything
    return;
  }
  charge.add(sizeof(Value) + sizeof(std::string) + name.size());
  attributes.emplace_back(name, std::move(value));
}

Value Value::of(Kind kind, std::shared_ptr<Object> object) {
  Value value(kind);
  value.object_ = std::move(object);
  return value;
}
Value Value::undefined(std::string message) {
  return of(Kind::undefined, std::make_shared<UndefinedObject>(std::move(message)));
}
Value Value::boolean(bool given) {
  Value value(Kind::boolean);
  value.integer_ = given;
  return value;
}
Value Value::integer(int64_t given) {
  Value value(Kind::integer);
  value.integer_ = given;
  return value;
}
Value Value::floating(double given) {
  Value value(Kind::floating);
  value.floating_ = given;
  return value;
}
Value Value::string(std::string text, bool markup) {
  charge_copy(text.size());
  return of(Kind::string, std::make_shared<TextObject>(std::move(text), markup));
}
Value Value::list(Items items) { return of(Kind::list, make_items(std::move(items))); }
Value Value::tuple(Items items) { return of(Kind::tuple, make_items(std::move(items))); }
Value Value::function(std::string_view name, Native native) { return function(name, native, Value()); }
Value Value::function(std::string_view name, Native native, Value self) {
  return of(Kind::function, std::make_shared<FunctionObject>(name, native, std::move(self)));
}

const std::string& Value::text() const { return as<TextObject>().text; }
bool Value::is_markup() const { return kind_ == Kind::string && as<TextObject>().markup; }
size_t Value::length_of_text() const { return as<TextObject>().length; }
const Items& Value::items() const { return as<ItemsObject>().items; }

int depth_of(const Items& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth;
}

Value make_dict(std::vector<std::pair<Value, Value>> entries) {
  charge_steps(1 + entries.size());
  return Value::of(Kind::dict, std::make_shared<DictObject>(std::move(entries)));
}

Value make_view(std::string_view name, Items items) {
  auto object = make_items(std::move(items));
  object->name = name;
  return Value::of(Kind::view, std::move(object));
}

Value make_range(int64_t start, int64_t stop, int64_t step) {
  return Value::of(Kind::range, std::make_shared<RangeObject>(start, stop, step));
}

Value make_iterator(std::function<bool(Value&)> next, const Value& source) {
  return Value::of(Kind::iterator, std::make_shared<IteratorObject>(std::move(next), source.depth()));
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
      return "missing";
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::floating:
      return "float";
    case Kind::string:
      return value.is_markup() ? "Markup" : "str";
    case Kind::list:
      return "list";
    case Kind::tuple:
      return "tuple";
    case Kind::dict:
      return "dict";
    case Kind::view:
      return value.as<ItemsObject>().name;
    case Kind::range:
      return "range";
    case Kind::iterator:
      return "generator";
    case Kind::space:
      return "Namespace";
    case Kind::loop:
      return "LoopContext";
    case Kind::macro:
      return "Macro";
    case Kind::function:
      return "function";
    case Kind::cycler:
      return "Cycler";
  }
  return "object";
}

bool has_length(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::string:
    case Kind::list:
    case Kind::tuple:
    case Kind::dict:
    case Kind::view:
    case Kind::range:
    case Kind::loop:
      return true;
    default:
      return false;
  }
}

int64_t length(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return 0;
    case Kind::string:
      return static_cast<int64_t>(value.length_of_text());
    case Kind::list:
    case Kind::tuple:
    case Kind::view:
      return static_cast<int64_t>(value.items().size());
    case Kind::dict:
      return static_cast<int64_t>(value.as<DictObject>().entries.size());
    case Kind::range:
      return value.as<RangeObject>().length();
    case Kind::loop:
      return value.as<LoopObject>().length();
    default:
      fault("object of type '{}' has no len()", type_name(value));
  }
}

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
    case Kind::integer:
      return value.as_integer() != 0;
    case Kind::floating:
      return value.as_double() != 0;
    default:
      return !has_length(value) || length(value) != 0;
  }
}

bool is_iterable(const Value& value) { return has_length(value) || value.kind() == Kind::iterator; }

std::function<bool(Value&)> iterate(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return [](Value&) { return false; };
    case Kind::string:
      return [value, at = size_t{0}](Value& out) mutable {
        const std::string& text = value.text();
        if (at == text.size()) return false;
        const size_t begin = at;
        next_code_point(text, at);
        out = Value::string(text.substr(begin, at - begin), value.is_markup());
        return true;
      };
    case Kind::list:
    case Kind::tuple:
    case Kind::view:
      return [value, at = size_t{0}](Value& out) mutable {
        if (at == value.items().size()) return false;
        out = value.items()[at++];
        return true;
      };
    case Kind::dict:
      return [value, at = size_t{0}](Value& out) mutable {
        if (at == value.as<DictObject>().entries.size()) return false;
        out = value.as<DictObject>().entries[at++].first;
        return true;
      };
    case Kind::range:
      return [value, at = int64_t{0}](Value& out) mutable {
        const RangeObject& range = value.as<RangeObject>();
        if (at == range.length()) return false;
        out = Value::integer(range.start + range.step * at++);
        return true;
      };
    case Kind::iterator:
      return [value](Value& out) { return value.as<IteratorObject>().next(out); };
    case Kind::loop:
      return [value](Value& out) {
        LoopObject& loop = value.as<LoopObject>();
        if (!loop.advance()) return false;
        out = Value::tuple({loop.current, value});
        return true;
      };
    default:
      fault("'{}' object is not iterable", type_name(value));
  }
}

Items collect(const Value& value) {
  Items items;
  Charge charge;
  const auto next = iterate(value);
  for (Value item; next(item);) {
    charge_steps(1);
    charge.add(sizeof(Value));
    items.push_back(std::move(item));
  }
  return items;
}

int64_t need_integer(const Value& value, std::string_view what) {
  if (!value.is_integral()) fault("{} is a {}, expected an integer", what, type_name(value));
  return value.as_integer();
}

const std::string& need_text(const Value& value, std::string_view what) {
  if (!value.is(Kind::string)) fault("{} is a {}, expected a string", what, type_name(value));
  return value.text();
}

}  // namespace mfa::jinja
