// Functions that every template can call.
#include <ctime>
#include <utility>

#include "formats/jinja/interpreter.h"

namespace mfa::jinja {
namespace {

constexpr int64_t kMaxRange = 100000;  // the sandbox's own

// The entries that dict(*args, **kwargs) would have.
std::vector<std::pair<Value, Value>> entries_of(std::string_view function, CallArgs& arguments) {
  if (arguments.positional.size() > 1)
    fault("{}() expected at most 1 argument, got {}", function, arguments.positional.size());
  std::vector<std::pair<Value, Value>> entries;
  Charge room;
  const auto add = [&](const Value& key, const Value& value) {
    room.add(2 * sizeof(Value));
    entries.emplace_back(key, value);
  };
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.is(Kind::dict)) {
      for (const auto& [key, value] : source.as<DictObject>().entries) add(key, value);
    } else {
      const auto next = iterate(source);
      for (Value item; next(item);) {
        const Items pair = collect(item);
        if (pair.size() != 2) fault("{}() needs pairs, got {} values", function, pair.size());
        add(pair[0], pair[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) add(Value::string(name), value);
  return entries;
}

Value global_dict(Interpreter&, const Value&, CallArgs& arguments) { return make_dict(entries_of("dict", arguments)); }

Value global_namespace(Interpreter& interpreter, const Value&, CallArgs& arguments) {
  Value space = interpreter.make_space();
  for (const auto& [key, value] : entries_of("namespace", arguments)) {
    space.as<SpaceObject>().set(need_text(key, "the name of an attribute"), value);
  }
  return space;
}

Value global_range(Interpreter&, const Value&, CallArgs& arguments) {
  const Items bound = arguments.bind_positional("range", 1, 3);
  const bool one = !bound[1].given();
  const int64_t start = one ? 0 : need_integer(bound[0], "the start of range");
  const int64_t stop = need_integer(bound[one ? 0 : 1], "the end of range");
  const int64_t step = bound[2].given() ? need_integer(bound[2], "the step of range") : 1;
  if (step == 0) fault("range() arg 3 must not be zero");
  const Value range = make_range(start, stop, step);
  const int64_t count = range.as<RangeObject>().length();
  if (count < 0 || count > kMaxRange) fault("the range is too big, expected at most {} items", kMaxRange);
  return range;
}

Value global_cycler(Interpreter&, const Value&, CallArgs& arguments) {
  if (arguments.positional.empty() || !arguments.named.empty()) fault("cycler() needs at least one item, and no names");
  const int depth = depth_of(arguments.positional);
  return Value::of(Kind::cycler, std::make_shared<CyclerObject>(std::move(arguments.positional), depth));
}

// "" the first time, then the separator.
Value call_joiner(Interpreter&, const Value& self, CallArgs& arguments) {
  arguments.bind_positional("joiner", 0, 0);
  CyclerObject& state = self.as<CyclerObject>();
  return state.items[std::exchange(state.position, size_t{1})];
}

Value global_joiner(Interpreter&, const Value&, CallArgs& arguments) {
  const Items bound = arguments.bind("joiner", {"sep"});
  Items items = {Value::string(""), bound[0].given() ? bound[0] : Value::string(", ")};
  const int depth = depth_of(items);
  return Value::function("joiner", call_joiner,
                         Value::of(Kind::cycler, std::make_shared<CyclerObject>(std::move(items), depth)));
}

Value global_raise(Interpreter&, const Value&, CallArgs& arguments) {
  fault("{}", to_text(arguments.bind("raise_exception", {"message"}, 1)[0]));
}

// The time has no zone, as Python's datetime.now().
Value global_strftime(Interpreter& interpreter, const Value&, CallArgs& arguments) {
  const Items bound = arguments.bind("strftime_now", {"format"}, 1);
  const std::string& given = need_text(bound[0], "the format of strftime_now");
  if (given.size() > 1000) fault("the format of strftime_now has {} bytes, expected at most 1000", given.size());
  std::string format;
  for (size_t i = 0; i < given.size(); ++i) {
    const char next = given[i] == '%' && i + 1 < given.size() ? given[i + 1] : ' ';
    if (next == 'f') fault("strftime_now knows no microseconds (%f)");
    if (next == 'z' || next == 'Z') {
      ++i;
    } else {
      format += given[i];
      if (next == '%') format += given[++i];
    }
  }
  const std::tm now = interpreter.now();
  std::string out(1 << 16, '\0');
  out.resize(std::strftime(out.data(), out.size(), format.c_str(), &now));
  return Value::string(std::move(out));
}

Value global_refused(Interpreter&, const Value&, CallArgs&) { fault("lipsum is not supported"); }

}  // namespace

std::vector<std::pair<std::string, Value>> builtin_globals() {
  static constexpr Named kGlobals[] = {
      {"cycler", global_cycler},       {"dict", global_dict},
      {"joiner", global_joiner},       {"lipsum", global_refused},
      {"namespace", global_namespace}, {"raise_exception", global_raise},
      {"range", global_range},         {"strftime_now", global_strftime},
  };
  std::vector<std::pair<std::string, Value>> globals;
  for (const Named& entry : kGlobals) globals.emplace_back(entry.name, Value::function(entry.name, entry.native));
  return globals;
}

}  // namespace mfa::jinja
