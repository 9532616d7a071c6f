// object.name and object[key].
#include <algorithm>
#include <cmath>

#include "formats/jinja/filters.h"
#include "formats/jinja/unicode.h"

namespace mfa::jinja {
namespace {

const DictObject& dict_of(const Value& self) { return self.as<DictObject>(); }

Items entries_as_tuples(const DictObject& dict) {
  const Charge room(dict.entries.size() * 4 * sizeof(Value));
  charge_steps(dict.entries.size());
  Items items;
  for (const auto& [key, value] : dict.entries) items.push_back(Value::tuple({key, value}));
  return items;
}

Value dict_items(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("items", 0, 0);
  return make_view("dict_items", entries_as_tuples(dict_of(self)));
}

Value dict_keys(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("keys", 0, 0);
  return make_view("dict_keys", collect(self));
}

Value dict_values(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("values", 0, 0);
  Items items;
  charge_steps(dict_of(self).entries.size());
  for (const auto& [key, value] : dict_of(self).entries) items.push_back(value);
  return make_view("dict_values", std::move(items));
}

Value dict_get(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("get", 1, 2);
  if (const Value* value = dict_of(self).find(bound[0])) return *value;
  return bound[1].given() ? bound[1] : Value::none();
}

Value copy_of(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("copy", 0, 0);
  return self;  // nothing can change either of the two
}

Value count_of(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("count", 1, 1);
  int64_t count = 0;
  const auto next = iterate(self);
  for (Value item; next(item);) count += same(item, bound[0]) || equal(item, bound[0]);
  return Value::integer(count);
}

Value index_of(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("index", 1, 3);
  const int64_t size = length(self);
  const auto clip = [&](const Value& given, int64_t missing) {
    if (!given.given()) return missing;
    const int64_t index = need_integer(given, "the bound of index()");
    return index < 0 ? std::max<int64_t>(index + size, 0) : index;
  };
  const int64_t from = clip(bound[1], 0), to = clip(bound[2], size);
  const auto next = iterate(self);
  int64_t at = 0;
  for (Value item; next(item); ++at) {
    if (at >= from && at < to && (same(item, bound[0]) || equal(item, bound[0]))) return Value::integer(at);
  }
  fault("{} is not in the {}", repr(bound[0]), type_name(self));
}

Value loop_cycle(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items& values = arguments.positional;
  if (values.empty() || !arguments.named.empty()) fault("no items for cycling given");
  return values[static_cast<size_t>(self.as<LoopObject>().index0) % values.size()];
}

Value loop_changed(Interpreter&, const Value& self, CallArgs& arguments) {
  if (!arguments.named.empty()) fault("changed() takes no named arguments");
  LoopObject& loop = self.as<LoopObject>();
  Value now = Value::tuple(std::move(arguments.positional));
  if (loop.changed.given() && equal(loop.changed, now)) return Value::boolean(false);
  loop.changed = std::move(now);
  return Value::boolean(true);
}

Value cycler_next(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("next", 0, 0);
  CyclerObject& cycler = self.as<CyclerObject>();
  const Value value = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return value;
}

Value cycler_reset(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("reset", 0, 0);
  self.as<CyclerObject>().position = 0;
  return Value::none();
}

Value float_is_integer(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("is_integer", 0, 0);
  const double number = self.as_double();
  return Value::boolean(std::isfinite(number) && std::trunc(number) == number);
}

Value int_bit_length(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("bit_length", 0, 0);
  const int64_t number = self.as_integer();
  uint64_t magnitude = number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
  int64_t bits = 0;
  for (; magnitude > 0; magnitude >>= 1) ++bits;
  return Value::integer(bits);
}

struct Method {
  Kind kind;
  std::string_view name;
  Native native;
};

constexpr Method kMethods[] = {
    {Kind::dict, "items", dict_items},
    {Kind::dict, "keys", dict_keys},
    {Kind::dict, "values", dict_values},
    {Kind::dict, "get", dict_get},
    {Kind::dict, "copy", copy_of},
    {Kind::list, "copy", copy_of},
    {Kind::list, "count", count_of},
    {Kind::list, "index", index_of},
    {Kind::tuple, "count", count_of},
    {Kind::tuple, "index", index_of},
    {Kind::range, "count", count_of},
    {Kind::range, "index", index_of},
    {Kind::loop, "cycle", loop_cycle},
    {Kind::loop, "changed", loop_changed},
    {Kind::cycler, "next", cycler_next},
    {Kind::cycler, "reset", cycler_reset},
    {Kind::floating, "is_integer", float_is_integer},
    {Kind::integer, "bit_length", int_bit_length},
    {Kind::boolean, "bit_length", int_bit_length},
};

// What the sandbox hides, since it would change the object.
bool is_forbidden(const Value& object, std::string_view name) {
  constexpr std::string_view kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  constexpr std::string_view kList[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};
  if (object.is(Kind::dict)) return std::find(std::begin(kDict), std::end(kDict), name) != std::end(kDict);
  return object.is(Kind::list) && std::find(std::begin(kList), std::end(kList), name) != std::end(kList);
}

Value loop_attribute(const Value& value, std::string_view name) {
  LoopObject& loop = value.as<LoopObject>();
  const int64_t index = loop.index0 + 1;
  if (name == "index") return Value::integer(index);
  if (name == "index0") return Value::integer(loop.index0);
  if (name == "first") return Value::boolean(loop.index0 == 0);
  if (name == "last") return Value::boolean(!loop.peek());
  if (name == "length") return Value::integer(loop.length());
  if (name == "revindex") return Value::integer(loop.length() - loop.index0);
  if (name == "revindex0") return Value::integer(loop.length() - index);
  if (name == "depth") return Value::integer(loop.depth0 + 1);
  if (name == "depth0") return Value::integer(loop.depth0);
  if (name == "previtem") return loop.index0 > 0 ? loop.before : Value::undefined("there is no previous item");
  if (name == "nextitem") return loop.peek() ? loop.after : Value::undefined("there is no next item");
  return {};
}

Value macro_attribute(const MacroObject& macro, std::string_view name) {
  if (name == "name") return macro.node.name.empty() ? Value::none() : Value::string(macro.node.name);
  if (name == "catch_kwargs") return Value::boolean(macro.node.uses_kwargs);
  if (name == "catch_varargs") return Value::boolean(macro.node.uses_varargs);
  if (name == "caller") return Value::boolean(macro.node.uses_caller);
  if (name != "arguments") return {};
  Items names;
  for (const std::string& parameter : macro.node.parameters) names.push_back(Value::string(parameter));
  return Value::tuple(std::move(names));
}

// Attributes that are no methods; missing if there is none of that name.
Value data_attribute(const Value& object, std::string_view name) {
  switch (object.kind()) {
    case Kind::tuple:
      if (!object.as<ItemsObject>().group) return {};
      return name == "grouper" ? object.items()[0] : name == "list" ? object.items()[1] : Value();
    case Kind::range: {
      const RangeObject& range = object.as<RangeObject>();
      if (name == "start") return Value::integer(range.start);
      if (name == "stop") return Value::integer(range.stop);
      return name == "step" ? Value::integer(range.step) : Value();
    }
    case Kind::space: {
      const Value* value = object.as<SpaceObject>().find(name);
      return value != nullptr ? *value : Value();
    }
    case Kind::loop:
      return loop_attribute(object, name);
    case Kind::macro:
      return macro_attribute(object.as<MacroObject>(), name);
    case Kind::cycler: {
      const CyclerObject& cycler = object.as<CyclerObject>();
      if (name == "current") return cycler.items[cycler.position];
      if (name == "pos") return Value::integer(static_cast<int64_t>(cycler.position));
      return name == "items" ? Value::tuple(cycler.items) : Value();
    }
    case Kind::boolean:
    case Kind::integer:
      if (name == "real" || name == "numerator") return Value::integer(object.as_integer());
      return name == "imag" ? Value::integer(0) : name == "denominator" ? Value::integer(1) : Value();
    case Kind::floating:
      return name == "real" ? object : name == "imag" ? Value::floating(0) : Value();
    default:
      return {};
  }
}

// getattr: a method, a datum, or missing.
Value python_attribute(const Value& object, std::string_view name) {
  if (object.is(Kind::string)) {
    const Named method = find_text_method(name);
    return method.native != nullptr ? Value::function(method.name, method.native, object) : Value();
  }
  for (const Method& method : kMethods) {
    if (method.kind == object.kind() && method.name == name) return Value::function(method.name, method.native, object);
  }
  if (is_forbidden(object, name)) {
    return Value::undefined(fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, type_name(object)));
  }
  return data_attribute(object, name);
}

Value no_attribute(const Value& object, const Value& key) {
  const std::string type = object.is(Kind::none) ? "None" : fmt::format("{} object", type_name(object));
  if (key.is(Kind::string)) return Value::undefined(fmt::format("'{}' has no attribute {}", type, repr(key)));
  return Value::undefined(fmt::format("{} has no element {}", type, repr(key)));
}

// The element at an index that may count from the end; missing outside.
Value element(const Value& object, int64_t index) {
  const int64_t size = length(object);
  if (index < 0) index += size;
  if (index < 0 || index >= size) return {};
  if (object.is(Kind::range)) {
    const RangeObject& range = object.as<RangeObject>();
    return Value::integer(range.start + range.step * index);
  }
  if (!object.is(Kind::string)) return object.items()[static_cast<size_t>(index)];
  const Value position = Value::integer(index);
  return sliced(object, position, Value::integer(index + 1), Value::none());
}

// Unlike object.name, never an entry of a dict.
Value filter_attr(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("attr", {"name"}, 1);
  const Value found = python_attribute(self, need_text(bound[0], "the name of an attribute"));
  return found.given() ? found : no_attribute(self, bound[0]);
}

}  // namespace

std::span<const Named> attribute_filters() {
  static constexpr Named kFilters[] = {{"attr", filter_attr}};
  return kFilters;
}

Value Interpreter::attribute(const Value& object, std::string_view name) {
  if (object.is(Kind::undefined)) fault("{}", object.as<UndefinedObject>().message);
  Value found = python_attribute(object, name);
  if (found.given()) return found;
  const Value key = Value::string(std::string(name));
  if (object.is(Kind::dict)) {
    if (const Value* value = dict_of(object).find(key)) return *value;
  }
  return no_attribute(object, key);
}

Value Interpreter::item(const Value& object, const Value& key) {
  if (object.is(Kind::undefined)) fault("{}", object.as<UndefinedObject>().message);
  if (object.is(Kind::dict) && is_hashable(key)) {
    if (const Value* value = dict_of(object).find(key)) return *value;
  }
  const bool indexed = object.is(Kind::string) || object.is_sequence() || object.is(Kind::range);
  Value found;
  if (indexed && key.is_integral()) {
    found = element(object, key.as_integer());
  } else if (key.is(Kind::string)) {
    found = python_attribute(object, key.text());
  }
  return found.given() ? found : no_attribute(object, key);
}

}  // namespace mfa::jinja
