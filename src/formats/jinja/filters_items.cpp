// Filters on lists, dicts and other iterables.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include "formats/jinja/filters.h"
#include "formats/jinja/text.h"
#include "formats/jinja/unicode.h"

namespace mfa::jinja {
namespace {

bool set(const Value& value) { return value.given() && truth(value); }

// "a.0.b" as keys: what consists of digits is an index.
Items attribute_parts(const Value& attribute) {
  if (!attribute.given() || attribute.is(Kind::none)) return {};
  if (!attribute.is(Kind::string)) return {attribute};
  Items parts;
  std::string_view rest = attribute.text();
  while (true) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    const std::string part(rest.substr(0, dot));
    const bool index = !part.empty() && part.size() < 18 && part.find_first_not_of("0123456789") == part.npos;
    parts.push_back(index ? Value::integer(std::stoll(part)) : Value::string(part));
    if (dot == rest.size()) return parts;
    rest.remove_prefix(dot + 1);
  }
}

Value folded(Value value) {
  if (!value.is(Kind::string)) return value;
  charge_scan(value.text().size());
  return Value::string(to_lower(value.text()), value.is_markup());
}

Value filter_length(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("length", 0, 0);
  return Value::integer(length(self));
}

Value filter_list(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("list", {});
  return Value::list(collect(self));
}

Value filter_default(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("default", {"default_value", "boolean"});
  if (!self.is(Kind::undefined) && !(set(bound[1]) && !truth(self))) return self;
  return bound[0].given() ? bound[0] : Value::string("");
}

Value filter_join(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("join", {"d", "attribute"});
  const Getter get = attribute_getter(interpreter, bound[1]);
  const std::string separator = bound[0].given() ? to_text(bound[0]) : "";
  Text out;
  bool first = true;
  const auto next = iterate(self);
  for (Value item; next(item); first = false) {
    charge_steps(1);
    if (!first) out.append(separator);
    out.append(to_text(get(item)));
  }
  return Value::string(out.take());
}

Value filter_first(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("first", {});
  Value item;
  return iterate(self)(item) ? item : Value::undefined("No first item, sequence was empty.");
}

// What reversed() takes: all but generators and numbers.
bool is_reversible(const Value& value) {
  return is_iterable(value) && !value.is(Kind::iterator) && !value.is(Kind::loop);
}

Value filter_last(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("last", {});
  if (!is_reversible(self)) fault("'{}' object is not reversible", type_name(self));
  Items items = collect(self);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value filter_reverse(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("reverse", {});
  if (self.is(Kind::string)) return sliced(self, Value::none(), Value::none(), Value::integer(-1));
  if (!is_iterable(self)) fault("argument must be iterable");
  Items items = collect(self);
  std::reverse(items.begin(), items.end());
  Value list = Value::list(std::move(items));
  return is_reversible(self) ? make_iterator(iterate(list), list) : list;
}

Value filter_items(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("items", {});
  if (self.is(Kind::undefined)) return make_iterator([](Value&) { return false; }, self);
  auto at = size_t{0};
  return make_iterator(
      [self, at](Value& out) mutable {
        if (!self.is(Kind::dict)) fault("Can only get item pairs from a mapping.");
        const auto& entries = self.as<DictObject>().entries;
        if (at == entries.size()) return false;
        out = Value::tuple({entries[at].first, entries[at].second});
        ++at;
        return true;
      },
      self);
}

Value filter_dictsort(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("dictsort", {"case_sensitive", "by", "reverse"});
  const std::string by = bound[1].given() ? to_text(bound[1]) : "key";
  if (by != "key" && by != "value") fault("You can only sort by either \"key\" or \"value\"");
  if (!self.is(Kind::dict)) fault("dictsort needs a dict, got {}", type_name(self));
  const bool fold = !set(bound[0]);
  Items pairs;
  for (const auto& [key, value] : self.as<DictObject>().entries) pairs.push_back(Value::tuple({key, value}));
  const auto key = [&](const Value& pair) {
    const Value& part = pair.items()[by == "key" ? 0 : 1];
    return fold ? folded(part) : part;
  };
  return Value::list(sorted(std::move(pairs), key, set(bound[2])));
}

Value filter_sort(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("sort", {"reverse", "case_sensitive", "attribute"});
  const Getter key = attributes_getter(interpreter, bound[2], !set(bound[1]));
  return Value::list(sorted(collect(self), key, set(bound[0])));
}

Value filter_unique(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("unique", {"case_sensitive", "attribute"});
  const Getter key = attribute_getter(interpreter, bound[1], {}, !set(bound[0]));
  const auto seen = std::make_shared<std::unordered_set<std::string>>();
  const auto room = std::make_shared<Charge>();
  return make_iterator(
      [next = iterate(self), key, seen, room](Value& out) {
        while (next(out)) {
          charge_steps(1);
          std::string hashed = hash_key(key(out));
          room->add(hashed.size() + sizeof(hashed) * 2);
          if (seen->insert(std::move(hashed)).second) return true;
        }
        return false;
      },
      self);
}

// The first of the largest (sign 1) or smallest (sign -1).
template <int sign>
Value filter_extreme(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind(sign > 0 ? "max" : "min", {"case_sensitive", "attribute"});
  const Getter get = attribute_getter(interpreter, bound[1], {}, !set(bound[0]));
  const auto next = iterate(self);
  Value best;
  if (!next(best)) return Value::undefined("No aggregated item, sequence was empty.");
  Value best_key = get(best);
  for (Value item; next(item);) {
    Value key = get(item);
    if (compare(key, best_key, sign > 0 ? ">" : "<") != sign) continue;
    best = std::move(item);
    best_key = std::move(key);
  }
  return best;
}

Value filter_sum(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("sum", {"attribute", "start"});
  const Getter get = attribute_getter(interpreter, bound[0]);
  Value total = bound[1].given() ? bound[1] : Value::integer(0);
  if (total.is(Kind::string)) fault("sum() can't sum strings");
  const auto next = iterate(self);
  for (Value item; next(item);) {
    charge_steps(1);
    total = binary_operation(interpreter, Op::add, total, get(item));
  }
  return total;
}

Value filter_batch(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("batch", {"linecount", "fill_with"}, 1);
  const int64_t count = need_integer(bound[0], "the size of a batch");
  const Value fill = bound[1].given() ? bound[1] : Value::none();
  struct State {
    Items line;
    bool done = false;
  };
  const auto state = std::make_shared<State>();
  return make_iterator(
      [next = iterate(self), state, count, fill](Value& out) {
        Items& line = state->line;
        for (Value item; !state->done && next(item);) {
          charge_steps(1);
          const bool full = static_cast<int64_t>(line.size()) == count;
          if (full) out = Value::list(std::exchange(line, {}));
          line.push_back(std::move(item));
          if (full) return true;
        }
        if (std::exchange(state->done, true) || line.empty()) return false;
        if (!fill.is(Kind::none) && static_cast<int64_t>(line.size()) < count) {
          const auto missing = static_cast<uint64_t>(count) - line.size();
          const Charge room(std::min<uint64_t>(missing, uint64_t{1} << 40) * sizeof(Value));
          line.insert(line.end(), missing, fill);
        }
        out = Value::list(std::move(line));
        return true;
      },
      self);
}

Value filter_slice(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("slice", {"slices", "fill_with"}, 1);
  const int64_t slices = need_integer(bound[0], "the number of slices");
  const Value fill = bound[1].given() ? bound[1] : Value::none();
  return make_iterator(
      [self, slices, fill, items = Items(), at = int64_t{0}, offset = int64_t{0}](Value& out) mutable {
        if (at == 0) items = collect(self);
        const auto size = static_cast<int64_t>(items.size());
        if (slices == 0) fault("integer division or modulo by zero");
        if (at >= slices) return false;
        const int64_t each = size / slices, longer = size % slices;
        const int64_t start = offset + at * each;
        if (at < longer) ++offset;
        const int64_t end = offset + (at + 1) * each;
        Items part(items.begin() + start, items.begin() + end);
        if (!fill.is(Kind::none) && at >= longer) part.push_back(fill);
        ++at;
        charge_steps(part.size() + 1);
        out = Value::list(std::move(part));
        return true;
      },
      self);
}

Value group(Value key, Items items) {
  auto object = std::make_shared<ItemsObject>(Items{std::move(key), Value::list(std::move(items))});
  object->group = true;
  return Value::of(Kind::tuple, std::move(object));
}

Value filter_groupby(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("groupby", {"attribute", "default", "case_sensitive"}, 1);
  const Value otherwise = bound[1].given() && !bound[1].is(Kind::none) ? bound[1] : Value();
  const Getter key = attribute_getter(interpreter, bound[0], otherwise, !set(bound[2]));
  const Getter shown = attribute_getter(interpreter, bound[0], otherwise);
  Items groups, members;
  Value current;
  const auto finish = [&] {
    if (members.empty()) return;
    Value name = shown(members[0]);
    groups.push_back(group(std::move(name), std::exchange(members, {})));
  };
  for (const Value& item : sorted(collect(self), key, false)) {
    Value next = key(item);
    if (!members.empty() && !equal(current, next)) finish();
    current = std::move(next);
    members.push_back(item);
  }
  finish();
  return Value::list(std::move(groups));
}

}  // namespace

Getter attribute_getter(Interpreter& interpreter, const Value& attribute, const Value& default_value, bool fold) {
  return [&interpreter, parts = attribute_parts(attribute), default_value, fold](const Value& item) {
    Value found = item;
    for (const Value& part : parts) {
      found = interpreter.item(found, part);
      if (default_value.given() && found.is(Kind::undefined)) found = default_value;
    }
    return fold ? folded(std::move(found)) : found;
  };
}

Getter attributes_getter(Interpreter& interpreter, const Value& attribute, bool fold) {
  std::vector<Getter> getters;
  if (attribute.is(Kind::string)) {
    for (const Value& part : split(attribute, Value::string(","), -1, false)) {
      getters.push_back(attribute_getter(interpreter, part, {}, fold));
    }
  } else {
    getters.push_back(attribute_getter(interpreter, attribute, {}, fold));
  }
  return [getters](const Value& item) {
    Items found;
    for (const Getter& getter : getters) found.push_back(getter(item));
    return Value::list(std::move(found));
  };
}

Items sorted(Items values, const Getter& key, bool reverse) {
  const Charge room(values.size() * 3 * sizeof(Value));
  std::vector<std::pair<Value, size_t>> keys;
  for (size_t i = 0; i < values.size(); ++i) keys.emplace_back(key(values[i]), i);
  std::stable_sort(keys.begin(), keys.end(), [&](const auto& a, const auto& b) {
    return reverse ? compare(b.first, a.first, "<") == -1 : compare(a.first, b.first, "<") == -1;
  });
  Items out;
  for (const auto& [unused, index] : keys) out.push_back(values[index]);
  return out;
}

std::span<const Named> item_filters() {
  static constexpr Named kFilters[] = {
      {"batch", filter_batch},     {"count", filter_length},      {"d", filter_default},
      {"default", filter_default}, {"dictsort", filter_dictsort}, {"first", filter_first},
      {"groupby", filter_groupby}, {"items", filter_items},       {"join", filter_join},
      {"last", filter_last},       {"length", filter_length},     {"list", filter_list},
      {"max", filter_extreme<1>},  {"min", filter_extreme<-1>},   {"reverse", filter_reverse},
      {"slice", filter_slice},     {"sort", filter_sort},         {"sum", filter_sum},
      {"unique", filter_unique},
  };
  return kFilters;
}

}  // namespace mfa::jinja
