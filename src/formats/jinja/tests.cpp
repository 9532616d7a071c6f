// The tests behind `is`.
#include <algorithm>

#include "formats/jinja/filters.h"
#include "formats/jinja/parser.h"
#include "formats/jinja/text.h"

namespace mfa::jinja {
namespace {

template <bool (*holds)(const Value&)>
Value plain(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind("the test", {});
  return Value::boolean(holds(self));
}

template <Kind kind>
bool is_kind(const Value& value) {
  return value.is(kind);
}

bool is_defined(const Value& value) { return !value.is(Kind::undefined); }
bool is_true(const Value& value) { return value.is(Kind::boolean) && value.as_integer() != 0; }
bool is_false(const Value& value) { return value.is(Kind::boolean) && value.as_integer() == 0; }
bool is_number(const Value& value) { return value.is_number(); }
bool is_markup(const Value& value) { return value.is_markup(); }
bool is_lower_value(const Value& value) { return is_lower_text(to_text(value)); }
bool is_upper_value(const Value& value) { return is_upper_text(to_text(value)); }
bool is_filter(const Value& value) {
  return is_hashable(value) ? value.is(Kind::string) && find_filter(value.text()) != nullptr : (hash_key(value), false);
}
bool is_test(const Value& value) {
  return is_hashable(value) ? value.is(Kind::string) && find_test(value.text()) != nullptr : (hash_key(value), false);
}

// What has a length and can be indexed.
bool is_sequence(const Value& value) { return has_length(value) && !value.is(Kind::view) && !value.is(Kind::loop); }

bool is_callable(const Value& value) {
  return value.is(Kind::function) || value.is(Kind::macro) || value.is(Kind::loop) || value.is(Kind::undefined);
}

template <int64_t rest>
Value remainder_by_two(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  arguments.bind("the test", {});
  const Value left = binary_operation(interpreter, Op::modulo, self, Value::integer(2));
  return Value::boolean(equal(left, Value::integer(rest)));
}

Value test_divisible(Interpreter& interpreter, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("divisibleby", {"num"}, 1);
  return Value::boolean(equal(binary_operation(interpreter, Op::modulo, self, bound[0]), Value::integer(0)));
}

// Python keeps one object of each small number and literal string.
Value test_same(Interpreter&, const Value& self, CallArgs& arguments) {
  const Items bound = arguments.bind("sameas", {"other"}, 1);
  const bool scalar = self.is_number() || self.is(Kind::string);
  return Value::boolean(same(self, bound[0]) || (scalar && self.kind() == bound[0].kind() && equal(self, bound[0])));
}

Value test_in(Interpreter&, const Value& self, CallArgs& arguments) {
  return Value::boolean(contains(arguments.bind("in", {"seq"}, 1)[0], self));
}

template <bool wanted>
Value test_equal(Interpreter&, const Value& self, CallArgs& arguments) {
  return Value::boolean(equal(self, arguments.bind_positional("eq", 1, 1)[0]) == wanted);
}

// order: -1 less, 1 greater; `or_equal` allows 0 too.
template <int order, bool or_equal>
Value test_order(Interpreter&, const Value& self, CallArgs& arguments) {
  const int found = compare(self, arguments.bind_positional("the comparison", 1, 1)[0], order < 0 ? "<" : ">");
  return Value::boolean(found == order || (or_equal && found == 0));
}

constexpr Named kTests[] = {
    {"!=", test_equal<false>},
    {"<", test_order<-1, false>},
    {"<=", test_order<-1, true>},
    {"==", test_equal<true>},
    {">", test_order<1, false>},
    {">=", test_order<1, true>},
    {"boolean", plain<is_kind<Kind::boolean>>},
    {"callable", plain<is_callable>},
    {"defined", plain<is_defined>},
    {"divisibleby", test_divisible},
    {"eq", test_equal<true>},
    {"equalto", test_equal<true>},
    {"escaped", plain<is_markup>},
    {"even", remainder_by_two<0>},
    {"false", plain<is_false>},
    {"filter", plain<is_filter>},
    {"float", plain<is_kind<Kind::floating>>},
    {"ge", test_order<1, true>},
    {"greaterthan", test_order<1, false>},
    {"gt", test_order<1, false>},
    {"in", test_in},
    {"integer", plain<is_kind<Kind::integer>>},
    {"iterable", plain<is_iterable>},
    {"le", test_order<-1, true>},
    {"lessthan", test_order<-1, false>},
    {"lower", plain<is_lower_value>},
    {"lt", test_order<-1, false>},
    {"mapping", plain<is_kind<Kind::dict>>},
    {"ne", test_equal<false>},
    {"none", plain<is_kind<Kind::none>>},
    {"number", plain<is_number>},
    {"odd", remainder_by_two<1>},
    {"sameas", test_same},
    {"sequence", plain<is_sequence>},
    {"string", plain<is_kind<Kind::string>>},
    {"test", plain<is_test>},
    {"true", plain<is_true>},
    {"undefined", plain<is_kind<Kind::undefined>>},
    {"upper", plain<is_upper_value>},
};

}  // namespace

Native find_test(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kTests), std::end(kTests), [&](const Named& test) { return test.name == name; });
  return found == std::end(kTests) ? nullptr : found->native;
}

}  // namespace mfa::jinja
