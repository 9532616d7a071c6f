// Expressions, from the loosest binding to the tightest.
#include <algorithm>

#include "formats/jinja/parser.h"

namespace mfa::jinja {
namespace {

// A tree this deep is evaluated within some hundred kilobytes of stack.
constexpr int kMaxExpressionDepth = 300;

ExprPtr make(ExprKind kind, size_t offset, std::string name = {}) {
  return std::make_unique<Expr>(Expr{.kind = kind, .offset = offset, .name = std::move(name)});
}

ExprPtr make_constant(size_t offset, Value value) {
  ExprPtr node = make(ExprKind::constant, offset);
  node->value = std::move(value);
  return node;
}

int depth_of(const Arguments& arguments) {
  int depth = 0;
  const auto count = [&](const ExprPtr& child) { depth = std::max(depth, child ? child->depth : 0); };
  for (const ExprPtr& argument : arguments.positional) count(argument);
  for (const auto& [name, argument] : arguments.named) count(argument);
  count(arguments.rest);
  count(arguments.named_rest);
  return depth;
}

}  // namespace

ExprPtr Parser::finished(ExprPtr node) const {
  int depth = depth_of(node->arguments);
  for (const ExprPtr& child : node->children) depth = std::max(depth, child ? child->depth : 0);
  node->depth = depth + 1;
  if (node->depth > kMaxExpressionDepth) {
    fail(node->offset, fmt::format("the expression nests deeper than {} levels", kMaxExpressionDepth));
  }
  return node;
}

ExprPtr Parser::binary(Op op, size_t offset, ExprPtr left, ExprPtr right) const {
  ExprPtr node = make(ExprKind::binary, offset);
  node->ops.push_back(op);
  node->children.push_back(std::move(left));
  node->children.push_back(std::move(right));
  return finished(std::move(node));
}

ExprPtr Parser::parse_tuple(TupleRules rules) {
  const size_t offset = now().offset;
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) expect_symbol(",");
    const bool ended = now().kind == TokenKind::variable_end || now().kind == TokenKind::block_end || at_symbol(")") ||
                       (!rules.ends_before.empty() && at_name(rules.ends_before));
    if (ended) break;
    items.push_back(rules.target ? parse_primary(rules.attributes) : parse_expression(rules.conditional));
    if (!at_symbol(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !items.empty()) return std::move(items[0]);
  if (!is_tuple && !rules.parentheses) unexpected("an expression");
  ExprPtr node = make(ExprKind::tuple, offset);
  node->children = std::move(items);
  return finished(std::move(node));
}

ExprPtr Parser::parse_expression(bool conditional) {
  const Nested nested(nesting_, now().offset);
  if (!conditional) return parse_or();
  const size_t offset = now().offset;
  const size_t unknown_before = unknown_.size();
  ExprPtr node = parse_or();
  while (skip_name("if")) {
    ExprPtr whole = make(ExprKind::conditional, offset);
    whole->children.push_back(parse_or());
    whole->children.push_back(std::move(node));
    whole->children.push_back(skip_name("else") ? parse_expression() : nullptr);
    node = finished(std::move(whole));
    unknown_.resize(unknown_before);  // as inside an `if`
  }
  return node;
}

ExprPtr Parser::parse_or() {
  const size_t offset = now().offset;
  ExprPtr left = parse_and();
  while (skip_name("or")) left = binary(Op::logical_or, offset, std::move(left), parse_and());
  return left;
}

ExprPtr Parser::parse_and() {
  const size_t offset = now().offset;
  ExprPtr left = parse_not();
  while (skip_name("and")) left = binary(Op::logical_and, offset, std::move(left), parse_not());
  return left;
}

ExprPtr Parser::parse_not() {
  const size_t offset = now().offset;
  const Nested nested(nesting_, offset);
  if (!skip_name("not")) return parse_compare();
  ExprPtr node = make(ExprKind::logical_not, offset);
  node->children.push_back(parse_not());
  return finished(std::move(node));
}

ExprPtr Parser::parse_compare() {
  ExprPtr node = make(ExprKind::compare, now().offset);
  node->children.push_back(parse_sum());
  while (true) {
    static const std::pair<std::string_view, Op> kOperators[] = {{"==", Op::equal},  {"!=", Op::not_equal},
                                                                 {"<", Op::less},    {"<=", Op::less_equal},
                                                                 {">", Op::greater}, {">=", Op::greater_equal}};
    const auto* found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                     [&](const auto& entry) { return at_symbol(entry.first); });
    if (found != std::end(kOperators)) {
      take();
      node->ops.push_back(found->second);
    } else if (skip_name("in")) {
      node->ops.push_back(Op::in);
    } else if (at_name("not") && ahead().kind == TokenKind::name && ahead().text == "in") {
      take();
      take();
      node->ops.push_back(Op::not_in);
    } else {
      break;
    }
    node->children.push_back(parse_sum());
  }
  if (node->ops.empty()) return std::move(node->children[0]);
  return finished(std::move(node));
}

ExprPtr Parser::parse_sum() {
  const size_t offset = now().offset;
  ExprPtr left = parse_concat();
  while (at_symbol("+") || at_symbol("-")) {
    const Op op = take().text == "+" ? Op::add : Op::subtract;
    left = binary(op, offset, std::move(left), parse_concat());
  }
  return left;
}

ExprPtr Parser::parse_concat() {
  const size_t offset = now().offset;
  ExprPtr first = parse_product();
  if (!at_symbol("~")) return first;
  ExprPtr node = make(ExprKind::concat, offset);
  node->children.push_back(std::move(first));
  while (skip_symbol("~")) node->children.push_back(parse_product());
  return finished(std::move(node));
}

ExprPtr Parser::parse_product() {
  const size_t offset = now().offset;
  ExprPtr left = parse_power();
  while (at_symbol("*") || at_symbol("/") || at_symbol("//") || at_symbol("%")) {
    const std::string symbol = take().text;
    const Op op = symbol == "*"    ? Op::multiply
                  : symbol == "/"  ? Op::divide
                  : symbol == "//" ? Op::floor_divide
                                   : Op::modulo;
    left = binary(op, offset, std::move(left), parse_power());
  }
  return left;
}

ExprPtr Parser::parse_power() {
  const size_t offset = now().offset;
  ExprPtr left = parse_unary();
  while (skip_symbol("**")) left = binary(Op::power, offset, std::move(left), parse_unary());
  return left;
}

ExprPtr Parser::parse_unary(bool with_filters) {
  const size_t offset = now().offset;
  const Nested nested(nesting_, offset);
  ExprPtr node;
  if (at_symbol("-") || at_symbol("+")) {
    node = make(take().text == "-" ? ExprKind::negative : ExprKind::positive, offset);
    node->children.push_back(parse_unary(false));
    node = finished(std::move(node));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filters ? parse_filters_and_tests(std::move(node)) : std::move(node);
}

ExprPtr Parser::parse_primary(bool attributes) {
  const size_t offset = now().offset;
  if (now().kind == TokenKind::name) {
    std::string name = take().text;
    if (name == "true" || name == "True") return make_constant(offset, Value::boolean(true));
    if (name == "false" || name == "False") return make_constant(offset, Value::boolean(false));
    if (name == "none" || name == "None") return make_constant(offset, Value::none());
    if (attributes && skip_symbol(".")) {
      ExprPtr node = make(ExprKind::space_attribute, offset, expect_name("the name of an attribute"));
      node->children.push_back(make(ExprKind::name, offset, std::move(name)));
      return node;
    }
    for (MacroNode* macro : macros_) {
      macro->uses_caller |= name == "caller";
      macro->uses_varargs |= name == "varargs";
      macro->uses_kwargs |= name == "kwargs";
    }
    return make(ExprKind::name, offset, std::move(name));
  }
  if (now().kind == TokenKind::text) {
    std::string text;
    while (now().kind == TokenKind::text) text += take().text;
    return make_constant(offset, Value::string(std::move(text)));
  }
  if (now().kind == TokenKind::number) return make_constant(offset, take().number);
  if (at_symbol("[")) return parse_list();
  if (at_symbol("{")) return parse_dict();
  if (!skip_symbol("(")) unexpected("an expression");
  ExprPtr node = parse_tuple({.parentheses = true});
  expect_symbol(")");
  return node;
}

ExprPtr Parser::parse_list() {
  ExprPtr node = make(ExprKind::list, now().offset);
  expect_symbol("[");
  while (!at_symbol("]")) {
    if (!node->children.empty()) expect_symbol(",");
    if (at_symbol("]")) break;
    node->children.push_back(parse_expression());
  }
  expect_symbol("]");
  return finished(std::move(node));
}

ExprPtr Parser::parse_dict() {
  ExprPtr node = make(ExprKind::dict, now().offset);
  expect_symbol("{");
  while (!at_symbol("}")) {
    if (!node->children.empty()) expect_symbol(",");
    if (at_symbol("}")) break;
    node->children.push_back(parse_expression());
    expect_symbol(":");
    node->children.push_back(parse_expression());
  }
  expect_symbol("}");
  return finished(std::move(node));
}

ExprPtr Parser::parse_postfix(ExprPtr node) {
  while (true) {
    if (at_symbol(".") || at_symbol("[")) {
      node = parse_subscript(std::move(node));
    } else if (at_symbol("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr Parser::parse_filters_and_tests(ExprPtr node) {
  while (true) {
    if (at_symbol("|")) {
      node = parse_filter(std::move(node));
    } else if (at_name("is")) {
      node = parse_test(std::move(node));
    } else if (at_symbol("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr Parser::parse_subscript(ExprPtr object) {
  const size_t offset = now().offset;
  if (!skip_symbol(".")) {
    expect_symbol("[");
    ExprPtr node = parse_subscribed(std::move(object), offset);
    expect_symbol("]");
    return node;
  }
  ExprPtr node = make(ExprKind::attribute, offset);
  node->children.push_back(std::move(object));
  if (now().kind == TokenKind::name) {
    node->name = take().text;
  } else {
    if (now().kind != TokenKind::number || !now().number.is(Kind::integer)) unexpected("a name or an integer");
    node->kind = ExprKind::item;
    node->children.push_back(make_constant(now().offset, now().number));
    take();
  }
  return finished(std::move(node));
}

// One index, one slice, or indices that form a tuple.
ExprPtr Parser::parse_subscribed(ExprPtr object, size_t offset) {
  std::vector<ExprPtr> indices;
  bool slices = false;
  ExprPtr slice = make(ExprKind::slice, offset);
  while (!at_symbol("]")) {
    if (!indices.empty() || slices) expect_symbol(",");
    if (slices) fail(offset, "a slice cannot be part of a tuple");
    ExprPtr first = at_symbol(":") ? nullptr : parse_expression();
    if (!at_symbol(":")) {
      indices.push_back(std::move(first));
      continue;
    }
    slices = true;
    slice->children.push_back(std::move(object));
    slice->children.push_back(std::move(first));
    for (int part = 0; part < 2; ++part) {
      const bool given = skip_symbol(":") && !at_symbol("]") && !at_symbol(",") && !at_symbol(":");
      slice->children.push_back(given ? parse_expression() : nullptr);
    }
    if (!indices.empty()) fail(offset, "a slice cannot be part of a tuple");
  }
  if (slices) return finished(std::move(slice));
  ExprPtr node = make(ExprKind::item, offset);
  node->children.push_back(std::move(object));
  if (indices.size() == 1) {
    node->children.push_back(std::move(indices[0]));
  } else {
    ExprPtr tuple = make(ExprKind::tuple, offset);
    tuple->children = std::move(indices);
    node->children.push_back(finished(std::move(tuple)));
  }
  return finished(std::move(node));
}

std::string Parser::parse_dotted_name() {
  std::string name = expect_name("a name");
  while (skip_symbol(".")) name += "." + expect_name("a name");
  return name;
}

// Null stands for what a block encloses.
ExprPtr Parser::parse_filter(ExprPtr node, bool named_already) {
  while (at_symbol("|") || named_already) {
    if (!named_already) take();
    named_already = false;
    ExprPtr filter = make(ExprKind::filter, now().offset);
    filter->name = parse_dotted_name();
    filter->native = find_filter(filter->name);
    if (filter->native == nullptr && !lenient_) unknown_.emplace_back(filter->offset, "filter '" + filter->name + "'");
    if (at_symbol("(")) filter->arguments = parse_arguments();
    filter->children.push_back(std::move(node));
    node = finished(std::move(filter));
  }
  return node;
}

ExprPtr Parser::parse_test(ExprPtr node) {
  const size_t offset = now().offset;
  take();
  const bool negated = skip_name("not");
  ExprPtr test = make(ExprKind::test, offset, parse_dotted_name());
  test->native = find_test(test->name);
  if (test->native == nullptr && !lenient_) unknown_.emplace_back(offset, "test '" + test->name + "'");
  const bool operand = now().kind == TokenKind::name || now().kind == TokenKind::text ||
                       now().kind == TokenKind::number || at_symbol("[") || at_symbol("{");
  if (at_symbol("(")) {
    test->arguments = parse_arguments();
  } else if (operand && !at_name("else") && !at_name("or") && !at_name("and")) {
    if (at_name("is")) fail(now().offset, "tests cannot be chained with 'is'");
    test->arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  test->children.push_back(std::move(node));
  test = finished(std::move(test));
  if (!negated) return test;
  ExprPtr opposite = make(ExprKind::logical_not, offset);
  opposite->children.push_back(std::move(test));
  return finished(std::move(opposite));
}

ExprPtr Parser::parse_call(ExprPtr callee) {
  ExprPtr node = make(ExprKind::call, now().offset);
  node->arguments = parse_arguments();
  node->children.push_back(std::move(callee));
  return finished(std::move(node));
}

Arguments Parser::parse_arguments() {
  const size_t offset = now().offset;
  const Nested nested(nesting_, offset);
  Arguments arguments;
  const auto ensure = [&](bool valid) {
    if (!valid) fail(offset, "these arguments are in no valid order");
  };
  bool first = true;
  expect_symbol("(");
  while (!at_symbol(")")) {
    if (!first) expect_symbol(",");
    if (at_symbol(")")) break;
    first = false;
    if (skip_symbol("*")) {
      ensure(!arguments.rest && !arguments.named_rest);
      arguments.rest = parse_expression();
    } else if (skip_symbol("**")) {
      ensure(!arguments.named_rest);
      arguments.named_rest = parse_expression();
    } else if (now().kind == TokenKind::name && ahead().kind == TokenKind::symbol && ahead().text == "=") {
      ensure(!arguments.named_rest);
      std::string name = take().text;
      take();
      if (arguments.named.size() >= kMaxArguments) fail(offset, "more than 255 named arguments");
      for (const auto& [other, value] : arguments.named) {
        if (other == name) fail(offset, fmt::format("the argument '{}' is given twice", name));
      }
      arguments.named.emplace_back(std::move(name), parse_expression());
    } else {
      ensure(!arguments.rest && !arguments.named_rest && arguments.named.empty());
      arguments.positional.push_back(parse_expression());
    }
  }
  expect_symbol(")");
  return arguments;
}

}  // namespace mfa::jinja
