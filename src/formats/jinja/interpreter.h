// Renders a parsed template. One Interpreter is one rendering.
#pragma once

#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "formats/jinja/ast.h"
#include "formats/jinja/loop.h"
#include "formats/jinja/value.h"

namespace mfa::jinja {

// Names of one block of code; what is not found in it is looked for around it.
struct Scope {
  explicit Scope(std::shared_ptr<Scope> outer) : parent(std::move(outer)) {}
  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);

  const std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string, Value>> names;
  bool kept = false;  // until the end of the rendering, for a macro
};
using ScopePtr = std::shared_ptr<Scope>;

struct Span {
  size_t begin, end;  // bytes of the output
};

class Interpreter {
 public:
  // `now` is the local time, for strftime_now.
  Interpreter(std::vector<std::pair<std::string, Value>> globals, std::function<std::tm()> now);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  std::string render(const Body& body);                          // Fault
  const std::vector<Span>& spans() const { return spans_; }      // of generation blocks
  bool hidden_generation() const { return hidden_generation_; }  // a block whose place is not known
  size_t offset() const { return offset_; }                      // what was evaluated last, for errors

  // For filters and functions.
  Value call(const Value& callee, CallArgs arguments);
  Value attribute(const Value& object, std::string_view name);  // object.name
  Value item(const Value& object, const Value& key);            // object[key]
  Value call_filter(const std::string& name, const Value& input, CallArgs arguments);
  bool call_test(const std::string& name, const Value& input, CallArgs arguments);
  std::tm now() const { return now_(); }
  Value make_space();

 private:
  enum class Flow { next, leave_loop, next_item };

  // Expressions.
  Value evaluate(const Expr& node, const ScopePtr& scope);
  Value evaluate_name(const Expr& node, const Scope& scope);
  Value evaluate_slice(const Expr& node, const ScopePtr& scope);
  Value evaluate_binary(const Expr& node, const ScopePtr& scope);
  Value evaluate_compare(const Expr& node, const ScopePtr& scope);
  Value evaluate_concat(const Expr& node, const ScopePtr& scope);
  Value evaluate_dict(const Expr& node, const ScopePtr& scope);
  Value evaluate_filter(const Expr& node, Value input, const ScopePtr& scope);
  Value evaluate_block_filter(const Expr& filter, Value input, const ScopePtr& scope);
  Items evaluate_all(const std::vector<ExprPtr>& nodes, const ScopePtr& scope);
  CallArgs evaluate_arguments(const Arguments& arguments, const ScopePtr& scope);

  // Statements.
  Flow run(const Body& body, const ScopePtr& scope);
  Flow run(const Stmt& node, const ScopePtr& scope);
  Flow run_if(const IfNode& node, const ScopePtr& scope);
  Flow run_for(const ForNode& node, const ScopePtr& scope);
  void loop_over(const ForNode& node, const Value& iterable, const ScopePtr& scope, int64_t depth0, Flow* flow);
  void run_output(const OutputNode& node, const ScopePtr& scope);
  Flow run_set_block(const SetNode& node, const ScopePtr& scope);
  void run_call_block(const CallBlockNode& node, const ScopePtr& scope);
  Flow run_filter_block(const FilterNode& node, const ScopePtr& scope);
  Flow run_with(const WithNode& node, const ScopePtr& scope);
  void run_generation(const BlockNode& node, const ScopePtr& scope);
  void assign(const Expr& target, const Value& value, const ScopePtr& scope);
  std::string captured(const Body& body, const ScopePtr& scope, Flow* flow);
  Value call_macro(const MacroObject& macro, CallArgs arguments);
  Value call_loop(LoopObject& loop, CallArgs arguments);
  Value make_macro(const MacroNode& node, const ScopePtr& scope);
  ScopePtr inner(const ScopePtr& scope) const { return std::make_shared<Scope>(scope); }

  // Refuses recursion that would exhaust the stack.
  class Deeper {
   public:
    explicit Deeper(Interpreter& interpreter);
    ~Deeper() { --depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    int& depth_;
  };

  std::function<std::tm()> now_;
  ScopePtr root_;
  Text* out_ = nullptr;  // where output goes: the rendering, or what a block captures
  int captures_ = 0;     // of how many blocks that capture
  int depth_ = 0;
  size_t offset_ = 0;
  std::vector<Span> spans_;
  bool hidden_generation_ = false;
  // Macros and namespaces can hold each other in circles: all that they hold is let go of at the end.
  std::vector<ScopePtr> kept_scopes_;
  Items spaces_;
  Charge kept_;
};

// Python's operators.
Value binary_operation(Interpreter& interpreter, Op op, const Value& a, const Value& b);
Value negated(const Value& value);
bool contains(const Value& container, const Value& item);
Value sliced(const Value& object, const Value& start, const Value& stop, const Value& step);
std::string escaped(std::string_view text);                                              // & < > ' "
std::string printf_format(const Value& format, const Value& arguments);                  // format % arguments
Value brace_format(Interpreter& interpreter, const Value& format, CallArgs& arguments);  // format.format(…)

// A native function and the literal that names it.
struct Named {
  std::string_view name;
  Native native = nullptr;
};
Named find_text_method(std::string_view name);  // null where str has none of that name

// raise_exception, range, namespace, …
std::vector<std::pair<std::string, Value>> builtin_globals();

// json.dumps, as transformers' `tojson` calls it.
std::string to_json(const Value& value, bool ascii, const Value& indent, const Value& separators, bool sort_keys);

}  // namespace mfa::jinja
