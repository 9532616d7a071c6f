#include "formats/jinja/names.h"

#include <map>

namespace mfa::jinja {
namespace {

// The names of one block. Blocks inside it are looked at when all of its own are known.
class Names {
 public:
  explicit Names(const Names* outer) : outer_(outer) {}

  void declare(const std::string& name) { hidden_[name] = false; }

  // A target of `for`, `with` or a macro, whose value is there from the beginning.
  void declare(const Expr& target) {
    if (target.kind == ExprKind::name) declare(target.name);
    for (const ExprPtr& item : target.children) declare(*item);
  }

  void load(const ExprPtr& node) {
    if (!node) return;
    if (node->kind == ExprKind::name) hidden_.emplace(node->name, false);
    for (const ExprPtr& child : node->children) load(child);
    for (const ExprPtr& argument : node->arguments.positional) load(argument);
    for (const auto& [name, argument] : node->arguments.named) load(argument);
    load(node->arguments.rest);
    load(node->arguments.named_rest);
  }

  // Visits a block's statements, then what is inside them, and notes what is hidden.
  void visit_block(Body& body) {
    visit(body, false);
    for (const auto& [name, hidden] : hidden_) {
      if (hidden && !is_known_outside(name)) body.hidden.push_back(name);
    }
    visit_inner(body);
  }

 private:
  bool is_known_outside(const std::string& name) const {
    for (const Names* names = outer_; names != nullptr; names = names->outer_) {
      if (names->hidden_.count(name) > 0) return true;
    }
    return false;
  }

  // What an `if` may assign, it may also not assign: then the outer value shows.
  void store(const std::string& name, bool inside_if) { hidden_.emplace(name, !inside_if); }
  void store(const Expr& target, bool inside_if) {
    if (target.kind == ExprKind::name) store(target.name, inside_if);
    if (target.kind == ExprKind::space_attribute) return load(target.children[0]);
    for (const ExprPtr& item : target.children) store(*item, inside_if);
  }

  void visit(const Body& body, bool inside_if) {
    for (const auto& statement : body.statements) visit(*statement, inside_if);
  }

  void visit(const Stmt& node, bool inside_if) {
    switch (node.kind) {
      case StmtKind::output:
        for (const ExprPtr& value : static_cast<const OutputNode&>(node).values) load(value);
        return;
      case StmtKind::if_else: {
        const IfNode& choice = static_cast<const IfNode&>(node);
        for (const auto& [test, branch] : choice.branches) {
          load(test);
          visit(branch, true);
        }
        return visit(choice.otherwise, true);
      }
      case StmtKind::set:
        load(static_cast<const SetNode&>(node).value);
        return store(*static_cast<const SetNode&>(node).target, inside_if);
      case StmtKind::set_block:
        return store(*static_cast<const SetNode&>(node).target, inside_if);
      case StmtKind::for_loop:
        return load(static_cast<const ForNode&>(node).iterable);
      case StmtKind::macro:
        return store(static_cast<const MacroNode&>(node).name, inside_if);
      case StmtKind::call_block:
        return load(static_cast<const CallBlockNode&>(node).call);
      case StmtKind::filter_block:
        return load(static_cast<const FilterNode&>(node).filter);
      case StmtKind::with:
        for (const auto& [target, value] : static_cast<const WithNode&>(node).assignments) load(value);
        return;
      default:
        return;
    }
  }

  void visit_inner(Body& body) {
    for (const auto& statement : body.statements) visit_inner(*statement);
  }

  void visit_inner(Stmt& node) {
    Names inner(this);
    switch (node.kind) {
      case StmtKind::if_else: {
        IfNode& choice = static_cast<IfNode&>(node);
        for (auto& [test, branch] : choice.branches) visit_inner(branch);
        return visit_inner(choice.otherwise);
      }
      case StmtKind::for_loop: {
        ForNode& loop = static_cast<ForNode&>(node);
        Names otherwise(this);
        otherwise.visit_block(loop.otherwise);
        inner.declare("loop");
        inner.declare(*loop.target);
        return inner.visit_block(loop.body);
      }
      case StmtKind::macro:
        return inner.visit_macro(static_cast<MacroNode&>(node));
      case StmtKind::call_block:
        return inner.visit_macro(*static_cast<CallBlockNode&>(node).caller);
      case StmtKind::set_block:
        return inner.visit_block(static_cast<SetNode&>(node).body);
      case StmtKind::filter_block:
        return inner.visit_block(static_cast<FilterNode&>(node).body);
      case StmtKind::generation:
        return inner.visit_block(static_cast<BlockNode&>(node).body);
      case StmtKind::block:
        return Names(nullptr).visit_block(static_cast<BlockNode&>(node).body);
      case StmtKind::with: {
        WithNode& with = static_cast<WithNode&>(node);
        for (const auto& [target, value] : with.assignments) inner.declare(*target);
        return inner.visit_block(with.body);
      }
      default:
        return;
    }
  }

  void visit_macro(MacroNode& macro) {
    for (const char* name : {"caller", "varargs", "kwargs"}) declare(name);
    for (const std::string& parameter : macro.parameters) declare(parameter);
    for (const ExprPtr& value : macro.defaults) load(value);
    visit_block(macro.body);
  }

  const Names* const outer_;
  std::map<std::string, bool> hidden_;  // by name: whether it is assigned first
};

}  // namespace

void find_hidden_names(Body& body) { Names(nullptr).visit_block(body); }

}  // namespace mfa::jinja
