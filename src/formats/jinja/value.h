// The values of templates: Python's, as far as templates can make them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/jinja/budget.h"

namespace mfa::jinja {

class Interpreter;
class Value;
struct CallArgs;
struct Scope;
struct MacroNode;

enum class Kind : uint8_t {
  missing,  // no argument given; templates never see it
  undefined,
  none,
  boolean,
  integer,
  floating,
  string,
  list,
  tuple,
  dict,
  view,  // dict.keys(), .values(), .items()
  range,
  iterator,  // what a generator gives: once
  space,     // namespace()
  loop,
  macro,
  function,
  cycler,
};

// What lives on the heap. Depth bounds the recursion of printing, comparing and freeing nested values.
struct Object {
  Object(uint64_t bytes, int nesting);
  virtual ~Object() = default;
  Charge charge;
  const int depth;
};

using Items = std::vector<Value>;
// A filter, test, method or function: `self` is what stands before the bar or the dot.
using Native = Value (*)(Interpreter&, const Value& self, CallArgs& args);

class Value {
 public:
  Value() : Value(Kind::missing) {}
  static Value undefined(std::string message);
  static Value none() { return Value(Kind::none); }
  static Value boolean(bool value);
  static Value integer(int64_t value);
  static Value floating(double value);
  static Value string(std::string text, bool markup = false);
  static Value list(Items items);
  static Value tuple(Items items);
  static Value function(std::string_view name, Native native);
  static Value function(std::string_view name, Native native, Value self);
  static Value of(Kind kind, std::shared_ptr<Object> object);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool given() const { return kind_ != Kind::missing; }
  bool is_integral() const { return kind_ == Kind::integer || kind_ == Kind::boolean; }  // bool is a kind of int
  bool is_number() const { return is_integral() || kind_ == Kind::floating; }
  bool is_sequence() const { return kind_ == Kind::list || kind_ == Kind::tuple; }
  int64_t as_integer() const { return integer_; }  // of an integral
  double as_double() const { return kind_ == Kind::floating ? floating_ : static_cast<double>(integer_); }

  // Of the kind that the name says, nothing else.
  const std::string& text() const;
  bool is_markup() const;
  size_t length_of_text() const;  // in code points
  const Items& items() const;     // of a list, tuple or view
  template <class T>
  T& as() const {
    return static_cast<T&>(*object_);
  }
  const Object* object() const { return object_.get(); }
  int depth() const { return object_ ? object_->depth : 0; }

 private:
  explicit Value(Kind kind) : kind_(kind), integer_(0) {}
  Kind kind_;
  union {
    int64_t integer_;
    double floating_;
  };
  std::shared_ptr<Object> object_;
};

struct TextObject : Object {
  TextObject(std::string value, bool is_markup);
  const std::string text;
  const size_t length;  // code points
  const bool markup;    // made by `safe` or `escape`: joined text is escaped
};

struct UndefinedObject : Object {
  explicit UndefinedObject(std::string why) : Object(sizeof(*this) + why.size(), 0), message(std::move(why)) {}
  const std::string message;
};

struct ItemsObject : Object {
  explicit ItemsObject(Items values);
  const Items items;
  bool group = false;     // groupby's tuple, with .grouper and .list
  std::string_view name;  // a view: dict_keys, …
};

// Keys keep the order in which they came. Equal numbers are one key, as in Python.
struct DictObject : Object {
  explicit DictObject(std::vector<std::pair<Value, Value>> pairs);
  const Value* find(const Value& key) const;  // Fault for a key that cannot be hashed
  std::vector<std::pair<Value, Value>> entries;

 private:
  std::unordered_map<std::string, size_t> index_;  // of dicts that are too large to be searched
};

struct RangeObject : Object {
  RangeObject(int64_t from, int64_t to, int64_t by) : Object(sizeof(*this), 0), start(from), stop(to), step(by) {}
  const int64_t start, stop, step;
  int64_t length() const;
};

// A generator: next() writes one more value, or says that there is none.
struct IteratorObject : Object {
  IteratorObject(std::function<bool(Value&)> source, int nesting)
      : Object(sizeof(*this), nesting + 1), next(std::move(source)) {}
  std::function<bool(Value&)> next;
};

struct SpaceObject : Object {
  SpaceObject() : Object(sizeof(*this), 0) {}
  std::vector<std::pair<std::string, Value>> attributes;
  Value* find(std::string_view name);
  void set(std::string_view name, Value value);  // Fault for names that begin with an underscore
};

struct FunctionObject : Object {
  FunctionObject(std::string_view title, Native code, Value bound)
      : Object(sizeof(*this), bound.depth() + 1), name(title), native(code), self(std::move(bound)) {}
  const std::string_view name;  // of a literal
  const Native native;
  const Value self;
};

struct MacroObject : Object {
  MacroObject(const MacroNode& code, std::shared_ptr<Scope> around)
      : Object(sizeof(*this), 0), node(code), scope(std::move(around)) {}
  const MacroNode& node;
  const std::shared_ptr<Scope> scope;
};

struct CyclerObject : Object {
  CyclerObject(Items values, int nesting) : Object(sizeof(*this), nesting + 1), items(std::move(values)) {}
  const Items items;
  size_t position = 0;
};

// Positional and named arguments of one call.
struct CallArgs {
  Items positional;
  std::vector<std::pair<std::string, Value>> named;
  Value take(std::string_view name);  // removes a named one; missing if there is none

  // The arguments in the order of `names`, missing where not given; Fault where one is unknown, given twice, or where
  // fewer than `required` are there.
  Items bind(std::string_view function, std::initializer_list<std::string_view> names, size_t required = 0);
  // The same for functions that take no names.
  Items bind_positional(std::string_view function, size_t min, size_t max);
};

std::string_view type_name(const Value& value);  // as Python names the type
bool truth(const Value& value);
bool equal(const Value& a, const Value& b);
bool same(const Value& a, const Value& b);                                // Python's `is`
int compare(const Value& a, const Value& b, std::string_view operation);  // < 0, 0, > 0, 2: unordered (nan); Fault
bool is_hashable(const Value& value);
std::string hash_key(const Value& value);  // equal for equal values; Fault where Python cannot hash
int64_t length(const Value& value);        // len(); Fault
bool has_length(const Value& value);
int depth_of(const Items& items);

Value make_dict(std::vector<std::pair<Value, Value>> entries);
Value make_view(std::string_view name, Items items);
Value make_range(int64_t start, int64_t stop, int64_t step);
Value make_iterator(std::function<bool(Value&)> next, const Value& source);

// Going through any iterable: Fault if it is none. The iterator keeps the source alive.
bool is_iterable(const Value& value);
std::function<bool(Value&)> iterate(const Value& value);
Items collect(const Value& value);  // list(value)

std::string to_text(const Value& value);  // str(value)
std::string repr(const Value& value);     // repr(value)
std::string float_text(double value);

int64_t need_integer(const Value& value, std::string_view what);
const std::string& need_text(const Value& value, std::string_view what);

}  // namespace mfa::jinja
