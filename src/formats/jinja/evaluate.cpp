// Expressions.
#include "formats/jinja/interpreter.h"

namespace mfa::jinja {
namespace {

constexpr int kMaxDepth = 1000;  // evaluations inside each other: a macro that calls itself takes about four

bool holds(Op op, const Value& a, const Value& b) {
  switch (op) {
    case Op::equal:
      return equal(a, b);
    case Op::not_equal:
      return !equal(a, b);
    case Op::less:
      return compare(a, b, "<") == -1;
    case Op::less_equal: {
      const int order = compare(a, b, "<=");
      return order == -1 || order == 0;
    }
    case Op::greater:
      return compare(a, b, ">") == 1;
    case Op::greater_equal: {
      const int order = compare(a, b, ">=");
      return order == 1 || order == 0;
    }
    case Op::in:
      return contains(b, a);
    default:
      return !contains(b, a);
  }
}

}  // namespace

Interpreter::Deeper::Deeper(Interpreter& interpreter) : depth_(interpreter.depth_) {
  if (depth_ >= kMaxDepth) fault("the template recurses deeper than is allowed");
  ++depth_;
}

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
    charge_steps(scope->names.size() / 16);
    for (const auto& [key, value] : scope->names) {
      if (key == name) return &value;
    }
  }
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  charge_steps(names.size() / 16);
  for (auto& [key, old] : names) {
    if (key != name) continue;
    std::swap(old, value);  // what `value` now holds is freed last: freeing may be anything
    return;
  }
  names.emplace_back(name, std::move(value));
}

Value Interpreter::evaluate(const Expr& node, const ScopePtr& scope) {
  const Deeper deeper(*this);
  charge_steps(1);
  offset_ = node.offset;
  switch (node.kind) {
    case ExprKind::constant:
      return node.value;
    case ExprKind::name:
      return evaluate_name(node, *scope);
    case ExprKind::list:
      return Value::list(evaluate_all(node.children, scope));
    case ExprKind::tuple:
      return Value::tuple(evaluate_all(node.children, scope));
    case ExprKind::dict:
      return evaluate_dict(node, scope);
    case ExprKind::slice:
      return evaluate_slice(node, scope);
    case ExprKind::binary:
      return evaluate_binary(node, scope);
    case ExprKind::compare:
      return evaluate_compare(node, scope);
    case ExprKind::concat:
      return evaluate_concat(node, scope);
    case ExprKind::logical_not:
      return Value::boolean(!truth(evaluate(*node.children[0], scope)));
    case ExprKind::filter:
      return evaluate_filter(node, evaluate(*node.children[0], scope), scope);
    case ExprKind::space_attribute:
      return {};  // only assigned to
    case ExprKind::attribute: {
      const Value object = evaluate(*node.children[0], scope);
      offset_ = node.offset;
      return attribute(object, node.name);
    }
    case ExprKind::item: {
      const Value object = evaluate(*node.children[0], scope);
      const Value key = evaluate(*node.children[1], scope);
      offset_ = node.offset;
      return item(object, key);
    }
    case ExprKind::call: {
      const Value callee = evaluate(*node.children[0], scope);
      CallArgs arguments = evaluate_arguments(node.arguments, scope);
      offset_ = node.offset;
      return call(callee, std::move(arguments));
    }
    case ExprKind::test: {
      const Value input = evaluate(*node.children[0], scope);
      CallArgs arguments = evaluate_arguments(node.arguments, scope);
      offset_ = node.offset;
      if (node.native == nullptr) fault("there is no test '{}'", node.name);
      return node.native(*this, input, arguments);
    }
    case ExprKind::negative:
    case ExprKind::positive: {
      const Value value = evaluate(*node.children[0], scope);
      offset_ = node.offset;
      const Value opposite = negated(value);
      return node.kind == ExprKind::negative ? opposite : negated(opposite);
    }
    case ExprKind::conditional: {
      if (truth(evaluate(*node.children[0], scope))) return evaluate(*node.children[1], scope);
      if (node.children[2]) return evaluate(*node.children[2], scope);
      return Value::undefined("the inline if-expression evaluated to false and no else section was defined");
    }
  }
  return {};
}

Value Interpreter::evaluate_name(const Expr& node, const Scope& scope) {
  const Value* value = scope.find(node.name);
  if (value != nullptr && value->given()) return *value;
  return Value::undefined(fmt::format("'{}' is undefined", node.name));
}

Items Interpreter::evaluate_all(const std::vector<ExprPtr>& nodes, const ScopePtr& scope) {
  Items values;
  values.reserve(nodes.size());
  for (const ExprPtr& node : nodes) values.push_back(evaluate(*node, scope));
  return values;
}

Value Interpreter::evaluate_dict(const Expr& node, const ScopePtr& scope) {
  std::vector<std::pair<Value, Value>> entries;
  for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
    Value key = evaluate(*node.children[i], scope);
    entries.emplace_back(std::move(key), evaluate(*node.children[i + 1], scope));
  }
  offset_ = node.offset;
  return make_dict(std::move(entries));
}

Value Interpreter::evaluate_slice(const Expr& node, const ScopePtr& scope) {
  Value parts[4] = {{}, Value::none(), Value::none(), Value::none()};
  for (size_t i = 0; i < 4; ++i) {
    if (node.children[i]) parts[i] = evaluate(*node.children[i], scope);
  }
  offset_ = node.offset;
  return sliced(parts[0], parts[1], parts[2], parts[3]);
}

Value Interpreter::evaluate_binary(const Expr& node, const ScopePtr& scope) {
  Value left = evaluate(*node.children[0], scope);
  const Op op = node.ops[0];
  if (op == Op::logical_and || op == Op::logical_or) {
    return truth(left) == (op == Op::logical_or) ? left : evaluate(*node.children[1], scope);
  }
  const Value right = evaluate(*node.children[1], scope);
  offset_ = node.offset;
  return binary_operation(*this, op, left, right);
}

// a < b < c is a < b and b < c, with b evaluated once.
Value Interpreter::evaluate_compare(const Expr& node, const ScopePtr& scope) {
  Value left = evaluate(*node.children[0], scope);
  for (size_t i = 0; i < node.ops.size(); ++i) {
    Value right = evaluate(*node.children[i + 1], scope);
    offset_ = node.offset;
    if (!holds(node.ops[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::evaluate_concat(const Expr& node, const ScopePtr& scope) {
  Text text;
  for (const Value& value : evaluate_all(node.children, scope)) text.append(to_text(value));
  return Value::string(text.take());
}

Value Interpreter::evaluate_filter(const Expr& node, Value input, const ScopePtr& scope) {
  CallArgs arguments = evaluate_arguments(node.arguments, scope);
  offset_ = node.offset;
  if (node.native == nullptr) fault("there is no filter '{}'", node.name);
  return node.native(*this, input, arguments);
}

CallArgs Interpreter::evaluate_arguments(const Arguments& nodes, const ScopePtr& scope) {
  CallArgs arguments;
  arguments.positional = evaluate_all(nodes.positional, scope);
  for (const auto& [name, node] : nodes.named) arguments.named.emplace_back(name, evaluate(*node, scope));
  if (nodes.rest) {
    for (Value& value : collect(evaluate(*nodes.rest, scope))) arguments.positional.push_back(std::move(value));
  }
  if (!nodes.named_rest) return arguments;
  const Value rest = evaluate(*nodes.named_rest, scope);
  if (!rest.is(Kind::dict)) fault("the argument after ** is a {}, expected a dict", type_name(rest));
  for (const auto& [key, value] : rest.as<DictObject>().entries) {
    charge_steps(1 + arguments.named.size() / 16);
    const std::string& name = need_text(key, "a keyword");
    for (const auto& [other, unused] : arguments.named) {
      if (other == name) fault("the argument '{}' is given twice", name);
    }
    arguments.named.emplace_back(name, value);
  }
  return arguments;
}

Value Interpreter::call(const Value& callee, CallArgs arguments) {
  switch (callee.kind()) {
    case Kind::function: {
      const FunctionObject& function = callee.as<FunctionObject>();
      return function.native(*this, function.self, arguments);
    }
    case Kind::macro:
      return call_macro(callee.as<MacroObject>(), std::move(arguments));
    case Kind::loop:
      return call_loop(callee.as<LoopObject>(), std::move(arguments));
    case Kind::undefined:
      fault("{}", callee.as<UndefinedObject>().message);
    default:
      fault("'{}' object is not callable", type_name(callee));
  }
}

Value CallArgs::take(std::string_view name) {
  for (auto at = named.begin(); at != named.end(); ++at) {
    if (at->first != name) continue;
    Value value = std::move(at->second);
    named.erase(at);
    return value;
  }
  return {};
}

Items CallArgs::bind(std::string_view function, std::initializer_list<std::string_view> names, size_t required) {
  if (positional.size() > names.size()) {
    fault("{}() takes at most {} arguments, got {}", function, names.size(), positional.size());
  }
  Items bound = positional;
  bound.resize(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    Value value = take(names.begin()[i]);
    if (value.given() && bound[i].given()) fault("{}() got '{}' twice", function, names.begin()[i]);
    if (value.given()) bound[i] = std::move(value);
    if (i < required && !bound[i].given()) fault("{}() lacks the argument '{}'", function, names.begin()[i]);
  }
  if (!named.empty()) fault("{}() has no argument '{}'", function, named[0].first);
  return bound;
}

Items CallArgs::bind_positional(std::string_view function, size_t min, size_t max) {
  if (!named.empty()) fault("{}() has no argument '{}'", function, named[0].first);
  if (positional.size() < min || positional.size() > max) {
    fault("{}() takes {} to {} arguments, got {}", function, min, max, positional.size());
  }
  Items bound = positional;
  bound.resize(max);
  return bound;
}

}  // namespace mfa::jinja
