// Statements.
#include "formats/jinja/interpreter.h"

namespace mfa::jinja {
namespace {

// Lets a loop go of its items when its statement is left, however that happens.
struct Finish {
  LoopObject& loop;
  ~Finish() { loop.finish(); }
};

}  // namespace

Interpreter::Interpreter(std::vector<std::pair<std::string, Value>> globals, std::function<std::tm()> now)
    : now_(std::move(now)), root_(std::make_shared<Scope>(nullptr)) {
  root_->names = std::move(globals);
  root_ = inner(root_);
}

Interpreter::~Interpreter() {
  // While all scopes and namespaces are still held here, nothing that is let go of frees more than itself.
  for (const Value& space : spaces_) space.as<SpaceObject>().attributes.clear();
  for (const ScopePtr& scope : kept_scopes_) scope->names.clear();
}

std::string Interpreter::render(const Body& body) {
  Text out;
  out_ = &out;
  run(body, root_);
  out_ = nullptr;
  return out.take();
}

Interpreter::Flow Interpreter::run(const Body& body, const ScopePtr& scope) {
  for (const std::string& name : body.hidden) scope->set(name, {});
  for (const auto& statement : body.statements) {
    const Flow flow = run(*statement, scope);
    if (flow != Flow::next) return flow;
  }
  return Flow::next;
}

Interpreter::Flow Interpreter::run(const Stmt& node, const ScopePtr& scope) {
  const Deeper deeper(*this);
  charge_steps(1);
  offset_ = node.offset;
  switch (node.kind) {
    case StmtKind::text:
      out_->append(static_cast<const TextNode&>(node).text);
      break;
    case StmtKind::output:
      run_output(static_cast<const OutputNode&>(node), scope);
      break;
    case StmtKind::if_else:
      return run_if(static_cast<const IfNode&>(node), scope);
    case StmtKind::for_loop:
      return run_for(static_cast<const ForNode&>(node), scope);
    case StmtKind::set: {
      const SetNode& set = static_cast<const SetNode&>(node);
      assign(*set.target, evaluate(*set.value, scope), scope);
      break;
    }
    case StmtKind::set_block:
      return run_set_block(static_cast<const SetNode&>(node), scope);
    case StmtKind::macro: {
      const MacroNode& macro = static_cast<const MacroNode&>(node);
      scope->set(macro.name, make_macro(macro, scope));
      break;
    }
    case StmtKind::call_block:
      run_call_block(static_cast<const CallBlockNode&>(node), scope);
      break;
    case StmtKind::filter_block:
      return run_filter_block(static_cast<const FilterNode&>(node), scope);
    case StmtKind::with:
      return run_with(static_cast<const WithNode&>(node), scope);
    // A block sees the names of the whole template, not those around it.
    case StmtKind::block:
      run(static_cast<const BlockNode&>(node).body, inner(root_));
      break;
    case StmtKind::generation:
      run_generation(static_cast<const BlockNode&>(node), scope);
      break;
    case StmtKind::break_loop:
      return Flow::leave_loop;
    case StmtKind::continue_loop:
      return Flow::next_item;
  }
  return Flow::next;
}

void Interpreter::run_output(const OutputNode& node, const ScopePtr& scope) {
  for (const ExprPtr& value : node.values) out_->append(to_text(evaluate(*value, scope)));
}

Interpreter::Flow Interpreter::run_if(const IfNode& node, const ScopePtr& scope) {
  for (const auto& [test, body] : node.branches) {
    if (truth(evaluate(*test, scope))) return run(body, scope);
  }
  return run(node.otherwise, scope);
}

Interpreter::Flow Interpreter::run_for(const ForNode& node, const ScopePtr& scope) {
  const Value iterable = evaluate(*node.iterable, scope);
  offset_ = node.iterable->offset;
  Flow flow = Flow::next;
  loop_over(node, iterable, scope, 0, &flow);
  return flow;
}

// `flow` leaves by break or continue in the `else` part, which belong to a loop around this one.
void Interpreter::loop_over(const ForNode& node, const Value& iterable, const ScopePtr& scope, int64_t depth0,
                            Flow* flow) {
  std::function<bool(Value&)> next = iterate(iterable);
  if (node.test) {
    next = [this, &node, scope, source = std::move(next)](Value& out) {
      while (source(out)) {
        charge_steps(1);
        const ScopePtr trial = inner(scope);
        assign(*node.target, out, trial);
        if (truth(evaluate(*node.test, trial))) return true;
      }
      return false;
    };
  }
  const auto loop = std::make_shared<LoopObject>(iterable, node.test != nullptr, std::move(next), depth0);
  const Finish finish{*loop};
  if (node.recursive) {
    loop->recursive = &node;
    loop->scope = scope;
  }
  bool completed = false;  // Jinja runs `else` also when every item was left by `continue`
  while (loop->advance()) {
    const ScopePtr item_scope = inner(scope);
    item_scope->set("loop", Value::of(Kind::loop, loop));
    assign(*node.target, loop->current, item_scope);
    const Flow left = run(node.body, item_scope);
    if (left == Flow::leave_loop) break;
    completed |= left == Flow::next;
  }
  if (!completed && !node.otherwise.statements.empty()) *flow = run(node.otherwise, inner(scope));
}

Value Interpreter::call_loop(LoopObject& loop, CallArgs arguments) {
  if (loop.recursive == nullptr || !loop.scope) fault("the loop must be marked 'recursive' to be called");
  const Items bound = arguments.bind("loop", {"iterable"}, 1);
  const ForNode& node = *loop.recursive;
  const ScopePtr scope = loop.scope;
  Text text;
  Text* const outer = out_;
  out_ = &text;
  ++captures_;
  Flow flow = Flow::next;
  loop_over(node, bound[0], scope, loop.depth0 + 1, &flow);
  --captures_;
  out_ = outer;
  return Value::string(text.take());
}

std::string Interpreter::captured(const Body& body, const ScopePtr& scope, Flow* flow) {
  Text text;
  Text* const outer = out_;
  out_ = &text;
  ++captures_;
  *flow = run(body, scope);
  --captures_;
  out_ = outer;
  return text.take();
}

Interpreter::Flow Interpreter::run_set_block(const SetNode& node, const ScopePtr& scope) {
  const ScopePtr block = inner(scope);
  Flow flow = Flow::next;
  Value value = Value::string(captured(node.body, block, &flow));
  if (flow != Flow::next) return flow;
  const Expr* filter = node.value.get();
  if (filter != nullptr) value = evaluate_block_filter(*filter, std::move(value), block);
  assign(*node.target, value, scope);
  return flow;
}

Interpreter::Flow Interpreter::run_filter_block(const FilterNode& node, const ScopePtr& scope) {
  const ScopePtr block = inner(scope);
  Flow flow = Flow::next;
  Value value = Value::string(captured(node.body, block, &flow));
  if (flow != Flow::next) return flow;
  out_->append(to_text(evaluate_block_filter(*node.filter, std::move(value), block)));
  return flow;
}

// The innermost filter of the chain is applied to what the block rendered.
Value Interpreter::evaluate_block_filter(const Expr& filter, Value input, const ScopePtr& scope) {
  const Deeper deeper(*this);
  if (filter.children[0]) input = evaluate_block_filter(*filter.children[0], std::move(input), scope);
  return evaluate_filter(filter, std::move(input), scope);
}

Interpreter::Flow Interpreter::run_with(const WithNode& node, const ScopePtr& scope) {
  const ScopePtr block = inner(scope);
  for (const auto& [target, value] : node.assignments) assign(*target, evaluate(*value, scope), block);
  return run(node.body, block);
}

void Interpreter::run_generation(const BlockNode& node, const ScopePtr& scope) {
  hidden_generation_ |= captures_ > 0;
  const size_t begin = out_->view().size();
  run(node.body, inner(scope));
  if (captures_ == 0) spans_.push_back({begin, out_->view().size()});
}

void Interpreter::assign(const Expr& target, const Value& value, const ScopePtr& scope) {
  if (target.kind == ExprKind::name) return scope->set(target.name, value);
  if (target.kind == ExprKind::space_attribute) {
    offset_ = target.offset;
    const Value* space = scope->find(target.children[0]->name);
    if (space == nullptr || !space->is(Kind::space)) fault("cannot assign attribute on non-namespace object");
    return space->as<SpaceObject>().set(target.name, value);
  }
  const auto next = iterate(value);
  Value part;
  for (const ExprPtr& item : target.children) {
    if (!next(part)) fault("not enough values to unpack, expected {}", target.children.size());
    assign(*item, part, scope);
  }
  if (next(part)) fault("too many values to unpack, expected {}", target.children.size());
}

Value Interpreter::make_macro(const MacroNode& node, const ScopePtr& scope) {
  for (ScopePtr kept = scope; kept && !kept->kept; kept = kept->parent) {
    kept->kept = true;
    kept_.add(sizeof(Scope) + kept->names.size() * sizeof(kept->names[0]));
    kept_scopes_.push_back(kept);
  }
  return Value::of(Kind::macro, std::make_shared<MacroObject>(node, scope));
}

Value Interpreter::make_space() {
  Value space = Value::of(Kind::space, std::make_shared<SpaceObject>());
  spaces_.push_back(space);
  return space;
}

void Interpreter::run_call_block(const CallBlockNode& node, const ScopePtr& scope) {
  const Value callee = evaluate(*node.call->children[0], scope);
  CallArgs arguments = evaluate_arguments(node.call->arguments, scope);
  arguments.named.emplace_back("caller", make_macro(*node.caller, scope));
  offset_ = node.call->offset;
  out_->append(to_text(call(callee, std::move(arguments))));
}

Value Interpreter::call_macro(const MacroObject& macro, CallArgs arguments) {
  const MacroNode& node = macro.node;
  const ScopePtr scope = inner(macro.scope);
  const size_t count = node.parameters.size();
  bool names_caller = false, names_varargs = false, names_kwargs = false;
  for (size_t i = 0; i < count; ++i) {
    const std::string& name = node.parameters[i];
    names_caller |= name == "caller";
    names_varargs |= name == "varargs";
    names_kwargs |= name == "kwargs";
    Value value = i < arguments.positional.size() ? arguments.positional[i] : arguments.take(name);
    const size_t without_default = count - node.defaults.size();
    if (!value.given()) {
      value = i >= without_default ? evaluate(*node.defaults[i - without_default], scope)
                                   : Value::undefined(fmt::format("parameter '{}' was not provided", name));
    }
    scope->set(name, std::move(value));
  }
  if (node.uses_caller && !names_caller) {
    Value caller = arguments.take("caller");
    scope->set("caller", caller.given() ? std::move(caller) : Value::undefined("No caller defined"));
  }
  if (node.uses_kwargs && !names_kwargs) {
    std::vector<std::pair<Value, Value>> entries;
    for (auto& [name, value] : arguments.named) entries.emplace_back(Value::string(name), std::move(value));
    scope->set("kwargs", make_dict(std::move(entries)));
  } else if (!arguments.named.empty()) {
    fault("macro '{}' takes no keyword argument '{}'", node.name, arguments.named[0].first);
  }
  Items& given = arguments.positional;
  if (node.uses_varargs && !names_varargs) {
    const auto first = given.begin() + static_cast<std::ptrdiff_t>(std::min(count, given.size()));
    scope->set("varargs", Value::tuple(Items(first, given.end())));
  } else if (given.size() > count) {
    fault("macro '{}' takes not more than {} argument(s)", node.name, count);
  }
  Flow flow = Flow::next;
  return Value::string(captured(node.body, scope, &flow));
}

}  // namespace mfa::jinja
