// Filters that apply filters and tests: map, select, reject and their kin. All are generators, as in Jinja2: they
// work when their items are asked for.
#include <algorithm>
#include <array>

#include "formats/jinja/filters.h"
#include "formats/jinja/parser.h"

namespace mfa::jinja {
namespace {

Getter mapping(Interpreter& interpreter, CallArgs arguments) {
  if (arguments.positional.empty()) {
    const Value attribute = arguments.take("attribute");
    if (!attribute.given()) fault("map requires a filter argument");
    const Value otherwise = arguments.take("default");
    if (!arguments.named.empty()) fault("unexpected keyword argument '{}'", arguments.named[0].first);
    return attribute_getter(interpreter, attribute, otherwise.is(Kind::none) ? Value() : otherwise);
  }
  const std::string name = need_text(arguments.positional[0], "the name of a filter");
  arguments.positional.erase(arguments.positional.begin());
  return [&interpreter, name, arguments](const Value& item) { return interpreter.call_filter(name, item, arguments); };
}

Value filter_map(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  return make_iterator(
      [&interpreter, self, arguments, get = Getter(), next = std::function<bool(Value&)>()](Value& out) mutable {
        if (!get) {
          if (!truth(self)) return false;
          get = mapping(interpreter, arguments);
          next = iterate(self);
        }
        charge_steps(1);
        Value item;
        if (!next(item)) return false;
        out = get(item);
        return true;
      },
      self);
}

using Test = std::function<bool(const Value&)>;

// The test that the arguments name, on the item or on the attribute that the first of them names.
Test selection(Interpreter& interpreter, CallArgs arguments, bool by_attribute) {
  Getter get = [](const Value& item) { return item; };
  Items& given = arguments.positional;
  if (by_attribute) {
    if (given.empty()) fault("Missing parameter for attribute name");
    get = attribute_getter(interpreter, given[0]);
    given.erase(given.begin());
  }
  if (given.empty()) return [get](const Value& item) { return truth(get(item)); };
  const std::string name = need_text(given[0], "the name of a test");
  given.erase(given.begin());
  return [&interpreter, get, name, arguments](const Value& item) {
    return interpreter.call_test(name, get(item), arguments);
  };
}

template <bool wanted, bool by_attribute>
Value filter_select(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  return make_iterator(
      [&interpreter, self, arguments, test = Test(), next = std::function<bool(Value&)>()](Value& out) mutable {
        if (!test) {
          if (!truth(self)) return false;
          test = selection(interpreter, arguments, by_attribute);
          next = iterate(self);
        }
        while (next(out)) {
          charge_steps(1);
          if (test(out) == wanted) return true;
        }
        return false;
      },
      self);
}

}  // namespace

std::span<const Named> select_filters() {
  static constexpr Named kFilters[] = {
      {"map", filter_map},
      {"reject", filter_select<false, false>},
      {"rejectattr", filter_select<false, true>},
      {"select", filter_select<true, false>},
      {"selectattr", filter_select<true, true>},
  };
  return kFilters;
}

Native find_filter(std::string_view name) {
  for (const auto& filters :
       {text_filters(), number_filters(), item_filters(), select_filters(), attribute_filters()}) {
    const auto found =
        std::find_if(filters.begin(), filters.end(), [&](const Named& filter) { return filter.name == name; });
    if (found != filters.end()) return found->native;
  }
  return nullptr;
}

Value Interpreter::call_filter(const std::string& name, const Value& input, CallArgs arguments) {
  const Native filter = find_filter(name);
  if (filter == nullptr) fault("there is no filter '{}'", name);
  const Deeper deeper(*this);
  return filter(*this, input, arguments);
}

bool Interpreter::call_test(const std::string& name, const Value& input, CallArgs arguments) {
  const Native test = find_test(name);
  if (test == nullptr) fault("there is no test '{}'", name);
  const Deeper deeper(*this);
  return truth(test(*this, input, arguments));
}

}  // namespace mfa::jinja
