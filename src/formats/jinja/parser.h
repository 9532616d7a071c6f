// Tokens to a tree. The grammar is Jinja2's own, quirks included: ** groups from the left, -1|abs is abs(-1).
#pragma once

#include <string_view>
#include <vector>

#include "formats/jinja/ast.h"
#include "formats/jinja/lexer.h"

namespace mfa::jinja {

constexpr size_t kMaxArguments = 255;  // named ones are compared with each other

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize(source)) {}
  Body parse();  // the whole template; SyntaxFault
  bool marks_generation() const { return marks_generation_; }

 private:
  struct TupleRules {
    bool conditional = true;            // whether `a if b` may stand in it
    std::string_view ends_before = {};  // a name that ends it
    bool parentheses = false;           // whether it may be empty
    bool target = false;                // only names: what is assigned to
    bool attributes = false;            // and attributes of namespaces
  };

  // Statements.
  Body parse_body(std::initializer_list<std::string_view> ends);  // from the tag's end up to one of `ends`
  Body parse_until(std::initializer_list<std::string_view> ends);
  std::unique_ptr<Stmt> parse_statement();
  std::unique_ptr<Stmt> parse_if(size_t offset);
  std::unique_ptr<Stmt> parse_for(size_t offset);
  std::unique_ptr<Stmt> parse_set(size_t offset);
  std::unique_ptr<Stmt> parse_macro(size_t offset);
  std::unique_ptr<Stmt> parse_call_block(size_t offset);
  std::unique_ptr<Stmt> parse_filter_block(size_t offset);
  std::unique_ptr<Stmt> parse_with(size_t offset);
  std::unique_ptr<Stmt> parse_block(size_t offset);
  std::unique_ptr<Stmt> parse_generation(size_t offset);
  std::unique_ptr<Stmt> parse_print(size_t offset);
  void parse_signature(MacroNode& macro);
  void parse_macro_body(MacroNode& macro, std::string_view end);
  ExprPtr parse_target(TupleRules rules);
  void check_target(const Expr& target) const;

  // Expressions.
  ExprPtr parse_tuple(TupleRules rules);
  ExprPtr parse_expression(bool conditional = true);
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filters = true);
  ExprPtr parse_primary(bool attributes = false);
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr node);
  ExprPtr parse_filters_and_tests(ExprPtr node);
  ExprPtr parse_subscript(ExprPtr node);
  ExprPtr parse_subscribed(ExprPtr node, size_t offset);
  ExprPtr parse_filter(ExprPtr node, bool named_already = false);
  ExprPtr parse_test(ExprPtr node);
  ExprPtr parse_call(ExprPtr node);
  Arguments parse_arguments();
  std::string parse_dotted_name();
  ExprPtr binary(Op op, size_t offset, ExprPtr left, ExprPtr right) const;
  ExprPtr finished(ExprPtr node) const;  // knows its depth, and that it is not too great

  // Tokens.
  const Token& now() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take() { return at_ + 1 < tokens_.size() ? std::move(tokens_[at_++]) : tokens_[at_]; }
  bool at_symbol(std::string_view symbol) const { return now().kind == TokenKind::symbol && now().text == symbol; }
  bool at_name(std::string_view name) const { return now().kind == TokenKind::name && now().text == name; }
  bool skip_symbol(std::string_view symbol);
  bool skip_name(std::string_view name);
  void expect_symbol(std::string_view symbol);
  void expect(TokenKind kind, std::string_view what);
  std::string expect_name(std::string_view what);
  [[noreturn]] void unexpected(std::string_view expected) const;
  [[noreturn]] static void fail(size_t offset, std::string message) { throw SyntaxFault{offset, std::move(message)}; }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;                 // of statements and bracketed expressions
  int loops_ = 0;                   // around here, within the macro
  int any_loops_ = 0;               // around here
  bool lenient_ = false;            // inside an `if`, unknown filters and tests fail only when they are used
  std::vector<MacroNode*> macros_;  // whose bodies we are in
  std::vector<std::pair<size_t, std::string>> unknown_;  // filters and tests that fail the whole template
  bool marks_generation_ = false;
};

// One more level of nesting, or SyntaxFault.
class Nested {
 public:
  Nested(int& depth, size_t offset) : depth_(depth) {
    if (depth >= 100) throw SyntaxFault{offset, "the template nests deeper than 100 levels"};
    ++depth_;
  }
  ~Nested() { --depth_; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  int& depth_;
};

// Sets a variable for as long as this lives.
template <class T>
class Temporarily {
 public:
  Temporarily(T& variable, T value) : variable_(variable), before_(variable) { variable_ = value; }
  ~Temporarily() { variable_ = before_; }
  Temporarily(const Temporarily&) = delete;
  Temporarily& operator=(const Temporarily&) = delete;

 private:
  T& variable_;
  const T before_;
};

// Null where there is no filter (test) of that name.
Native find_filter(std::string_view name);
Native find_test(std::string_view name);

}  // namespace mfa::jinja
