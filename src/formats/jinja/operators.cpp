// Arithmetic, concatenation, repetition, membership and slices.
#include <algorithm>
#include <cmath>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/unicode.h"

namespace mfa::jinja {
namespace {

[[noreturn]] void too_large() { fault("the result is too large, expected an integer of at most 64 bits"); }

std::string_view symbol(Op op) {
  switch (op) {
    case Op::add:
      return "+";
    case Op::subtract:
      return "-";
    case Op::multiply:
      return "*";
    case Op::divide:
      return "/";
    case Op::floor_divide:
      return "//";
    case Op::modulo:
      return "%";
    default:
      return "**";
  }
}

[[noreturn]] void unsupported(Op op, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b}) {
    if (value->is(Kind::undefined)) fault("{}", value->as<UndefinedObject>().message);
  }
  fault("unsupported operand type(s) for {}: '{}' and '{}'", symbol(op), type_name(a), type_name(b));
}

// Python rounds quotients down, and a remainder has the sign of the divisor.
int64_t floor_quotient(int64_t a, int64_t b) {
  if (b == 0) fault("integer division or modulo by zero");
  if (b == -1) {
    int64_t result = 0;
    if (__builtin_sub_overflow(int64_t{0}, a, &result)) too_large();
    return result;
  }
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

int64_t floor_remainder(int64_t a, int64_t b) {
  if (b == 0) fault("integer division or modulo by zero");
  if (b == -1) return 0;
  const int64_t remainder = a % b;
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

double float_remainder(double a, double b) {
  if (b == 0) fault("float modulo by zero");
  const double remainder = std::fmod(a, b);
  if (remainder == 0) return std::copysign(0.0, b);
  return (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

double float_quotient(double a, double b) {
  if (b == 0) fault("float floor division by zero");
  const double remainder = std::fmod(a, b);
  double quotient = (a - remainder) / b;
  if (remainder != 0 && (remainder < 0) != (b < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double below = std::floor(quotient);
  return quotient - below > 0.5 ? below + 1 : below;
}

int64_t integer_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) too_large();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) too_large();
  }
  return result;
}

Value integer_operation(Op op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Op::add:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Op::subtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Op::multiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Op::floor_divide:
      result = floor_quotient(a, b);
      break;
    case Op::modulo:
      result = floor_remainder(a, b);
      break;
    default:
      result = integer_power(a, b);
  }
  if (overflow) too_large();
  return Value::integer(result);
}

// Python refuses what a float cannot hold, instead of giving infinity.
double float_power(double a, double b) {
  if (a == 0 && b < 0) fault("0.0 cannot be raised to a negative power");
  if (a < 0 && std::isfinite(a) && std::isfinite(b) && std::trunc(b) != b) fault("complex numbers are not supported");
  const double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) fault("numerical result out of range");
  return result;
}

Value number_operation(Op op, const Value& a, const Value& b) {
  const bool integers = a.is_integral() && b.is_integral();
  if (integers && op != Op::divide && !(op == Op::power && b.as_integer() < 0)) {
    return integer_operation(op, a.as_integer(), b.as_integer());
  }
  const double x = a.as_double(), y = b.as_double();
  switch (op) {
    case Op::add:
      return Value::floating(x + y);
    case Op::subtract:
      return Value::floating(x - y);
    case Op::multiply:
      return Value::floating(x * y);
    case Op::divide:
      if (y == 0) fault("division by zero");
      // The quotient of integers is rounded once, however large they are.
      if (integers) {
        return Value::floating(
            static_cast<double>(static_cast<long double>(a.as_integer()) / static_cast<long double>(b.as_integer())));
      }
      return Value::floating(x / y);
    case Op::floor_divide:
      return Value::floating(float_quotient(x, y));
    case Op::modulo:
      return Value::floating(float_remainder(x, y));
    default:
      return Value::floating(float_power(x, y));
  }
}

Value joined_texts(const Value& a, const Value& b) {
  const bool markup = a.is_markup() || b.is_markup();
  Text text;
  for (const Value* part : {&a, &b}) text.append(markup && !part->is_markup() ? escaped(part->text()) : part->text());
  return Value::string(text.take(), markup);
}

Value joined_items(const Value& a, const Value& b) {
  const Charge room((a.items().size() + b.items().size()) * sizeof(Value));
  charge_steps(a.items().size() + b.items().size());
  Items items = a.items();
  items.insert(items.end(), b.items().begin(), b.items().end());
  return a.is(Kind::list) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

Value repeated(const Value& value, int64_t times) {
  const uint64_t count = times > 0 ? static_cast<uint64_t>(times) : 0;
  constexpr uint64_t kMaxCount = uint64_t{1} << 32;
  if (value.is(Kind::string)) {
    const uint64_t size = value.text().size();
    if (count > kMaxCount && size > 0) fault("the template makes more data than is allowed");
    const Charge room(count * size);
    std::string text;
    text.reserve(count * size);
    for (uint64_t i = 0; i < count && size > 0; ++i) text += value.text();
    return Value::string(std::move(text), value.is_markup());
  }
  const uint64_t size = value.items().size();
  if (count > kMaxCount && size > 0) fault("the template makes more data than is allowed");
  const Charge room(count * size * sizeof(Value));
  charge_steps(count * size);
  Items items;
  for (uint64_t i = 0; i < count && size > 0; ++i)
    items.insert(items.end(), value.items().begin(), value.items().end());
  return value.is(Kind::list) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

bool repeats(const Value& value) { return value.is(Kind::string) || value.is_sequence(); }

// slice.indices: bounds of a sequence of `size`, clipped.
struct Bounds {
  int64_t start, stop, step;
};

Bounds clipped(const Value& start, const Value& stop, const Value& step, int64_t size) {
  const auto number = [](const Value& value, int64_t missing) {
    if (value.is(Kind::none)) return missing;
    if (!value.is_integral()) fault("slice indices must be integers or none, got {}", type_name(value));
    return value.as_integer();
  };
  Bounds bounds{0, 0, number(step, 1)};
  if (bounds.step == 0) fault("slice step cannot be zero");
  const int64_t low = bounds.step > 0 ? 0 : -1, high = bounds.step > 0 ? size : size - 1;
  const auto clip = [&](int64_t index) {
    if (index < 0) return std::max(index < -size ? low : index + size, low);
    return std::min(index, high);
  };
  bounds.start = start.is(Kind::none) ? (bounds.step > 0 ? low : high) : clip(number(start, 0));
  bounds.stop = stop.is(Kind::none) ? (bounds.step > 0 ? high : low) : clip(number(stop, 0));
  return bounds;
}

Value sliced_text(const Value& object, const Bounds& bounds) {
  const std::string& text = object.text();
  charge_copy(text.size());
  const bool ascii = object.length_of_text() == text.size();
  if (ascii && bounds.step == 1) {
    const int64_t count = std::max<int64_t>(bounds.stop - bounds.start, 0);
    return Value::string(text.substr(static_cast<size_t>(bounds.start), static_cast<size_t>(count)),
                         object.is_markup());
  }
  charge_scan(text.size());
  const Charge room((text.size() + 1) * sizeof(size_t));
  std::vector<size_t> offsets;
  for (size_t at = 0; at < text.size(); next_code_point(text, at)) offsets.push_back(at);
  offsets.push_back(text.size());
  std::string out;
  for (int64_t i = bounds.start, left = RangeObject(bounds.start, bounds.stop, bounds.step).length(); left > 0;
       --left) {
    const size_t begin = offsets[static_cast<size_t>(i)], end = offsets[static_cast<size_t>(i) + 1];
    out.append(text, begin, end - begin);
    if (left > 1) i += bounds.step;
  }
  return Value::string(std::move(out), object.is_markup());
}

Value sliced_range(const RangeObject& range, const Bounds& bounds) {
  int64_t step = 0;
  if (__builtin_mul_overflow(range.step, bounds.step, &step)) too_large();
  return make_range(range.start + range.step * bounds.start, range.start + range.step * bounds.stop, step);
}

}  // namespace

Value binary_operation(Interpreter&, Op op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return number_operation(op, a, b);
  if (op == Op::modulo && a.is(Kind::string)) return Value::string(printf_format(a, b), a.is_markup());
  if (op == Op::add && a.is(Kind::string) && b.is(Kind::string)) return joined_texts(a, b);
  if (op == Op::add && a.is_sequence() && a.kind() == b.kind()) return joined_items(a, b);
  if (op == Op::multiply && repeats(a) && b.is_integral()) return repeated(a, b.as_integer());
  if (op == Op::multiply && repeats(b) && a.is_integral()) return repeated(b, a.as_integer());
  if (op == Op::add && a.is(Kind::string) && !b.is(Kind::undefined)) {
    fault("can only concatenate str (not \"{}\") to str", type_name(b));
  }
  unsupported(op, a, b);
}

Value negated(const Value& value) {
  if (value.is(Kind::floating)) return Value::floating(-value.as_double());
  if (value.is_integral()) return integer_operation(Op::subtract, 0, value.as_integer());
  if (value.is(Kind::undefined)) fault("{}", value.as<UndefinedObject>().message);
  fault("bad operand type for a sign: '{}'", type_name(value));
}

bool contains(const Value& container, const Value& item) {
  if (container.is(Kind::string)) {
    if (!item.is(Kind::string)) fault("'in <string>' requires string as left operand, not {}", type_name(item));
    charge_copy(container.text().size());
    return find_text(container.text(), item.text()) != std::string::npos;
  }
  if (container.is(Kind::dict)) return container.as<DictObject>().find(item) != nullptr;
  if (container.is(Kind::range) && item.is_integral()) {
    const RangeObject& range = container.as<RangeObject>();
    const int64_t number = item.as_integer(), count = range.length();
    if (count == 0) return false;
    const int64_t last = range.start + range.step * (count - 1);
    return number >= std::min(range.start, last) && number <= std::max(range.start, last) &&
           (number - range.start) % range.step == 0;
  }
  if (!is_iterable(container)) fault("argument of type '{}' is not iterable", type_name(container));
  const auto next = iterate(container);
  for (Value candidate; next(candidate);) {
    if (same(candidate, item) || equal(candidate, item)) return true;
  }
  return false;
}

Value sliced(const Value& object, const Value& start, const Value& stop, const Value& step) {
  if (object.is(Kind::undefined)) fault("{}", object.as<UndefinedObject>().message);
  if (!object.is(Kind::string) && !object.is_sequence() && !object.is(Kind::range)) {
    fault("'{}' object cannot be sliced", type_name(object));
  }
  const Bounds bounds = clipped(start, stop, step, length(object));
  if (object.is(Kind::string)) return sliced_text(object, bounds);
  if (object.is(Kind::range)) return sliced_range(object.as<RangeObject>(), bounds);
  const int64_t count = RangeObject(bounds.start, bounds.stop, bounds.step).length();
  const Charge room(static_cast<uint64_t>(count) * sizeof(Value));
  charge_steps(static_cast<uint64_t>(count));
  Items items;
  for (int64_t i = bounds.start, left = count; left > 0; --left) {
    items.push_back(object.items()[static_cast<size_t>(i)]);
    if (left > 1) i += bounds.step;
  }
  return object.is(Kind::list) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

}  // namespace mfa::jinja
