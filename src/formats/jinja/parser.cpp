// Statements.
#include "formats/jinja/parser.h"

#include <algorithm>

#include "formats/jinja/names.h"

namespace mfa::jinja {
namespace {

std::string described(const Token& token) {
  switch (token.kind) {
    case TokenKind::data:
      return "text";
    case TokenKind::variable_begin:
      return "'{{'";
    case TokenKind::variable_end:
      return "'}}'";
    case TokenKind::block_begin:
      return "'{%'";
    case TokenKind::block_end:
      return "'%}'";
    case TokenKind::text:
      return "a string";
    case TokenKind::number:
      return "a number";
    case TokenKind::end:
      return "the end of the template";
    default:
      return "'" + token.text + "'";
  }
}

}  // namespace

Body Parser::parse() {
  Body body = parse_until({});
  if (now().kind != TokenKind::end) unexpected("the end of the template");
  if (!unknown_.empty()) fail(unknown_[0].first, fmt::format("there is no {}", unknown_[0].second));
  find_hidden_names(body);
  return body;
}

Body Parser::parse_body(std::initializer_list<std::string_view> ends) {
  skip_symbol(":");
  expect(TokenKind::block_end, "'%}'");
  Body body = parse_until(ends);
  if (now().kind == TokenKind::end) {
    fail(now().offset, fmt::format("unexpected end of the template, expected {}", fmt::join(ends, " or ")));
  }
  return body;
}

Body Parser::parse_until(std::initializer_list<std::string_view> ends) {
  const Nested nested(nesting_, now().offset);
  Body body;
  while (now().kind != TokenKind::end) {
    const size_t offset = now().offset;
    if (now().kind == TokenKind::data) {
      auto text = std::make_unique<TextNode>(StmtKind::text, offset);
      text->text = take().text;
      body.statements.push_back(std::move(text));
    } else if (now().kind == TokenKind::variable_begin) {
      take();
      auto output = std::make_unique<OutputNode>(StmtKind::output, offset);
      output->values.push_back(parse_tuple({}));
      expect(TokenKind::variable_end, "'}}'");
      body.statements.push_back(std::move(output));
    } else {
      expect(TokenKind::block_begin, "a tag");
      if (std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return at_name(end); })) return body;
      body.statements.push_back(parse_statement());
      expect(TokenKind::block_end, "'%}'");
    }
  }
  return body;
}

std::unique_ptr<Stmt> Parser::parse_statement() {
  const size_t offset = now().offset;
  const std::string tag = expect_name("the name of a tag");
  if (tag == "if") return parse_if(offset);
  if (tag == "for") return parse_for(offset);
  if (tag == "set") return parse_set(offset);
  if (tag == "macro") return parse_macro(offset);
  if (tag == "call") return parse_call_block(offset);
  if (tag == "filter") return parse_filter_block(offset);
  if (tag == "with") return parse_with(offset);
  if (tag == "block") return parse_block(offset);
  if (tag == "generation") return parse_generation(offset);
  if (tag == "print") return parse_print(offset);
  if (tag == "break" || tag == "continue") {
    if (loops_ == 0) fail(offset, fmt::format("'{}' outside of a loop", tag));
    return std::make_unique<Stmt>(tag == "break" ? StmtKind::break_loop : StmtKind::continue_loop, offset);
  }
  for (const std::string_view other : {"include", "import", "from", "extends", "autoescape"}) {
    if (tag == other) fail(offset, fmt::format("the tag '{}' is not supported: a chat template stands alone", tag));
  }
  fail(offset, fmt::format("unknown tag '{}'", tag));
}

std::unique_ptr<Stmt> Parser::parse_if(size_t offset) {
  const Temporarily lenient(lenient_, true);
  auto node = std::make_unique<IfNode>(StmtKind::if_else, offset);
  while (true) {
    ExprPtr test = parse_tuple({.conditional = false});
    Body body = parse_body({"elif", "else", "endif"});
    node->branches.emplace_back(std::move(test), std::move(body));
    const std::string tag = take().text;
    if (tag == "endif") return node;
    if (tag == "else") break;
  }
  node->otherwise = parse_body({"endif"});
  take();
  return node;
}

std::unique_ptr<Stmt> Parser::parse_for(size_t offset) {
  auto node = std::make_unique<ForNode>(StmtKind::for_loop, offset);
  ++any_loops_;
  node->target = parse_target({.ends_before = "in", .target = true});
  if (!skip_name("in")) unexpected("'in'");
  node->iterable = parse_tuple({.conditional = false, .ends_before = "recursive"});
  const Temporarily strict(lenient_, false);
  if (skip_name("if")) node->test = parse_expression();
  node->recursive = skip_name("recursive");
  ++loops_;
  node->body = parse_body({"endfor", "else"});
  --loops_;
  if (take().text == "else") {
    node->otherwise = parse_body({"endfor"});
    take();
  }
  --any_loops_;
  return node;
}

std::unique_ptr<Stmt> Parser::parse_set(size_t offset) {
  ExprPtr target = parse_target({.target = true, .attributes = true});
  if (skip_symbol("=")) {
    auto node = std::make_unique<SetNode>(StmtKind::set, offset);
    node->target = std::move(target);
    node->value = parse_tuple({});
    return node;
  }
  auto node = std::make_unique<SetNode>(StmtKind::set_block, offset);
  const Temporarily strict(lenient_, false);
  node->target = std::move(target);
  node->value = parse_filter(nullptr);
  node->body = parse_body({"endset"});
  take();
  return node;
}

void Parser::parse_signature(MacroNode& macro) {
  expect_symbol("(");
  while (!at_symbol(")")) {
    if (!macro.parameters.empty()) expect_symbol(",");
    const size_t offset = now().offset;
    const std::string name = expect_name("the name of a parameter");
    if (macro.parameters.size() >= kMaxArguments) fail(offset, "more than 255 parameters");
    if (std::count(macro.parameters.begin(), macro.parameters.end(), name) > 0) {
      fail(offset, fmt::format("the parameter '{}' is named twice", name));
    }
    for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
      if (name == constant) fail(offset, fmt::format("cannot assign to '{}'", name));
    }
    macro.parameters.push_back(name);
    if (skip_symbol("=")) {
      macro.defaults.push_back(parse_expression());
    } else if (!macro.defaults.empty()) {
      fail(offset, "a parameter without a default follows one with a default");
    }
  }
  expect_symbol(")");
}

// Break and continue do not reach out of a macro; `caller`, `varargs` and `kwargs` exist where the body names them.
void Parser::parse_macro_body(MacroNode& macro, std::string_view end) {
  const Temporarily outside(loops_, 0);
  const Temporarily strict(lenient_, false);
  macros_.push_back(&macro);
  macro.body = parse_body({end});
  take();
  macros_.pop_back();
  const auto parameter = std::find(macro.parameters.begin(), macro.parameters.end(), "caller");
  const size_t position = static_cast<size_t>(parameter - macro.parameters.begin());
  if (macro.uses_caller && parameter != macro.parameters.end() &&
      position < macro.parameters.size() - macro.defaults.size()) {
    fail(macro.offset, "the parameter 'caller' must have a default");
  }
}

std::unique_ptr<Stmt> Parser::parse_macro(size_t offset) {
  auto node = std::make_unique<MacroNode>(StmtKind::macro, offset);
  const size_t name_offset = now().offset;
  node->name = expect_name("the name of the macro");
  Expr name{ExprKind::name, name_offset, node->name};
  check_target(name);
  parse_signature(*node);
  parse_macro_body(*node, "endmacro");
  return node;
}

std::unique_ptr<Stmt> Parser::parse_call_block(size_t offset) {
  auto node = std::make_unique<CallBlockNode>(StmtKind::call_block, offset);
  node->caller = std::make_unique<MacroNode>(StmtKind::macro, offset);
  if (at_symbol("(")) parse_signature(*node->caller);
  const size_t call_offset = now().offset;
  node->call = parse_expression();
  if (node->call->kind != ExprKind::call) fail(call_offset, "expected a call");
  parse_macro_body(*node->caller, "endcall");
  return node;
}

std::unique_ptr<Stmt> Parser::parse_filter_block(size_t offset) {
  auto node = std::make_unique<FilterNode>(StmtKind::filter_block, offset);
  const Temporarily strict(lenient_, false);
  node->filter = parse_filter(nullptr, true);
  node->body = parse_body({"endfilter"});
  take();
  return node;
}

std::unique_ptr<Stmt> Parser::parse_with(size_t offset) {
  auto node = std::make_unique<WithNode>(StmtKind::with, offset);
  while (now().kind != TokenKind::block_end && !at_symbol(":")) {
    if (!node->assignments.empty()) expect_symbol(",");
    ExprPtr target = parse_target({.target = true});
    expect_symbol("=");
    node->assignments.emplace_back(std::move(target), parse_expression());
  }
  const Temporarily strict(lenient_, false);
  node->body = parse_body({"endwith"});
  take();
  return node;
}

std::unique_ptr<Stmt> Parser::parse_block(size_t offset) {
  auto node = std::make_unique<BlockNode>(StmtKind::block, offset);
  const std::string name = expect_name("the name of the block");
  if (at_name("required")) fail(now().offset, "a required block is not supported: a chat template stands alone");
  skip_name("scoped");
  const Temporarily outside(loops_, 0);
  const Temporarily strict(lenient_, false);
  node->body = parse_body({"endblock"});
  take();
  skip_name(name);
  return node;
}

// What the assistant says: rendered as it is, its place remembered.
std::unique_ptr<Stmt> Parser::parse_generation(size_t offset) {
  marks_generation_ = true;
  auto node = std::make_unique<BlockNode>(StmtKind::generation, offset);
  const Temporarily outside(loops_, 0);
  const Temporarily strict(lenient_, false);
  node->body = parse_body({"endgeneration"});
  take();
  return node;
}

std::unique_ptr<Stmt> Parser::parse_print(size_t offset) {
  auto node = std::make_unique<OutputNode>(StmtKind::output, offset);
  while (now().kind != TokenKind::block_end) {
    if (!node->values.empty()) expect_symbol(",");
    node->values.push_back(parse_expression());
  }
  return node;
}

ExprPtr Parser::parse_target(TupleRules rules) {
  ExprPtr target = parse_tuple(rules);
  check_target(*target);
  return target;
}

void Parser::check_target(const Expr& target) const {
  switch (target.kind) {
    case ExprKind::tuple:
      for (const ExprPtr& item : target.children) check_target(*item);
      return;
    case ExprKind::space_attribute:
      return;
    case ExprKind::name:
      if (target.name == "loop" && any_loops_ > 0) fail(target.offset, "cannot assign to 'loop' inside a loop");
      return;
    default:
      fail(target.offset, "cannot assign to this expression, expected a name");
  }
}

bool Parser::skip_symbol(std::string_view symbol) {
  if (!at_symbol(symbol)) return false;
  take();
  return true;
}

bool Parser::skip_name(std::string_view name) {
  if (!at_name(name)) return false;
  take();
  return true;
}

void Parser::expect_symbol(std::string_view symbol) {
  if (!skip_symbol(symbol)) unexpected(fmt::format("'{}'", symbol));
}

void Parser::expect(TokenKind kind, std::string_view what) {
  if (now().kind != kind) unexpected(what);
  take();
}

std::string Parser::expect_name(std::string_view what) {
  if (now().kind != TokenKind::name) unexpected(what);
  return take().text;
}

void Parser::unexpected(std::string_view expected) const {
  fail(now().offset, fmt::format("unexpected {}, expected {}", described(now()), expected));
}

}  // namespace mfa::jinja
