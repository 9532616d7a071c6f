// What the parser makes of a template.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/jinja/value.h"

namespace mfa::jinja {

enum class Op : uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  logical_and,
  logical_or,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
};

enum class ExprKind : uint8_t {
  constant,
  name,
  list,
  tuple,
  dict,
  attribute,
  item,
  slice,
  call,
  filter,
  test,
  negative,
  positive,
  logical_not,
  binary,
  compare,
  concat,
  conditional,
  space_attribute,  // ns.name as the target of an assignment
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr rest, named_rest;  // *rest, **named_rest
};

// One type for all expressions: `name` and `children` mean what the kind says, in the order of the text.
struct Expr {
  ExprKind kind;
  size_t offset;                    // in the source, for errors
  std::string name{};               // of a name, attribute, filter, test
  Value value{};                    // of a constant
  std::vector<ExprPtr> children{};  // dict: key, value, …; conditional: test, then, else (may be null);
                                    // slice: object, start, stop, step (may be null)
  std::vector<Op> ops{};            // binary: one; compare: one fewer than the children
  Native native = nullptr;          // of a filter or test that exists
  Arguments arguments{};            // of a call, filter or test
  int depth = 1;
};

enum class StmtKind : uint8_t {
  output,
  text,
  if_else,
  for_loop,
  set,
  set_block,
  macro,
  call_block,
  filter_block,
  with,
  block,
  generation,
  break_loop,
  continue_loop,
};

struct Stmt {
  Stmt(StmtKind which, size_t at) : kind(which), offset(at) {}
  virtual ~Stmt() = default;
  const StmtKind kind;
  const size_t offset;
};
struct Body {
  std::vector<std::unique_ptr<Stmt>> statements;
  std::vector<std::string> hidden;  // names that are undefined until they are assigned here (jinja_names.h)
};

struct TextNode : Stmt {
  using Stmt::Stmt;
  std::string text;
};
struct OutputNode : Stmt {
  using Stmt::Stmt;
  std::vector<ExprPtr> values;
};
struct IfNode : Stmt {
  using Stmt::Stmt;
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct ForNode : Stmt {
  using Stmt::Stmt;
  ExprPtr target, iterable, test;
  bool recursive = false;
  Body body, otherwise;
};
struct SetNode : Stmt {
  using Stmt::Stmt;
  ExprPtr target, value;  // a block: value is the filter, or null
  Body body;
};
// A macro, or the body of a call block.
struct MacroNode : Stmt {
  using Stmt::Stmt;
  std::string name;  // none for a call block's
  std::vector<std::string> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters
  Body body;
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
};
struct CallBlockNode : Stmt {
  using Stmt::Stmt;
  std::unique_ptr<MacroNode> caller;
  ExprPtr call;
};
struct FilterNode : Stmt {
  using Stmt::Stmt;
  ExprPtr filter;
  Body body;
};
struct WithNode : Stmt {
  using Stmt::Stmt;
  std::vector<std::pair<ExprPtr, ExprPtr>> assignments;
  Body body;
};
struct BlockNode : Stmt {  // a block or a generation
  using Stmt::Stmt;
  Body body;
};

}  // namespace mfa::jinja
