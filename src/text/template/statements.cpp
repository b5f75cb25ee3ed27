#include <utility>

#include <fmt/format.h>

#include "text/template/interpreter.h"
#include "text/template/objects.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {

const PyValue* Scope::find(NameId id) const {
  for (const auto& [held, value] : variables) {
    if (held == id) return &value;
  }
  return nullptr;
}

void Scope::set(NameId id, PyValue value) {
  for (auto& [held, old] : variables) {
    if (held == id) {
      old = std::move(value);
      return;
    }
  }
  variables.emplace_back(id, std::move(value));
}

Interpreter::Inside::Inside(Interpreter& interpreter, Scope* parent)
    : interpreter_(interpreter), before_(interpreter.scope_) {
  if (interpreter.free_scopes_.empty()) {
    scope_ = &interpreter.scopes_.emplace_back();
  } else {
    scope_ = interpreter.free_scopes_.back();
    interpreter.free_scopes_.pop_back();
  }
  scope_->parent = parent;
  interpreter.scope_ = scope_;
}

Interpreter::Inside::~Inside() {
  interpreter_.scope_ = before_;
  if (scope_->captured) return;
  scope_->variables.clear();
  interpreter_.free_scopes_.push_back(scope_);
}

Interpreter::Interpreter(const Ast& ast, const Value& context, const TemplateLimits& limits, std::time_t now)
    : ast_(ast), context_(context), budget_(limits), now_(now), globals_(ast.names.size()) {}

Interpreter::~Interpreter() {
  for (auto& held : namespaces_) held->attributes = DictBox();
  for (auto& held : changed_loops_) held->last_changed.reset();
}

std::string Interpreter::run() {
  std::string text;
  out_ = &text;
  try {
    Inside root(*this, nullptr);
    root_ = scope_;
    execute(ast_.body);
  } catch (const RaisedByTemplate&) {
    throw;
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("line {}: {}", line_, error.message()));
  }
  return text;
}

void Interpreter::emit(std::string_view text) {
  budget_.charge(static_cast<int64_t>(text.size() / 64));
  if (out_->size() + text.size() > budget_.limits().max_output) budget_.charge_text(out_->size() + text.size());
  *out_ += text;
}

/// The current scope, kept with all it lies in until the rendering ends.
Scope* Interpreter::capture_scope() {
  for (Scope* scope = scope_; scope && !scope->captured; scope = scope->parent) scope->captured = true;
  return scope_;
}

Interpreter::Flow Interpreter::execute(const Body& body) {
  for (const auto& stmt : body) {
    if (Flow flow = execute(*stmt); flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const Stmt& stmt) {
  budget_.charge();
  Budget::Level level(budget_);
  line_ = stmt.line;
  switch (stmt.kind) {
    case Stmt::Kind::kData: emit(stmt.text); break;
    case Stmt::Kind::kPrint: {
      PyValue value = evaluate(*stmt.expr);
      if (value.is_string()) {
        emit(value.bytes());
      } else {
        emit(py_str(value, budget_));
      }
      break;
    }
    case Stmt::Kind::kIf: return execute_if(stmt);
    case Stmt::Kind::kFor: {
      PyValue iterable = evaluate(*stmt.expr);
      if (!stmt.recursive) return loop_over(stmt, iterable, scope_, 0);
      emit(run_loop(stmt, iterable, capture_scope(), 0));
      break;
    }
    case Stmt::Kind::kSet: assign(stmt.target, evaluate(*stmt.expr)); break;
    case Stmt::Kind::kSetBlock: return execute_set_block(stmt);
    case Stmt::Kind::kMacro: {
      auto macro = std::make_shared<Macro>();
      macro->definition = &stmt.macro;
      macro->defined_in = capture_scope();
      scope_->set(stmt.id, PyValue::object(std::move(macro)));
      break;
    }
    case Stmt::Kind::kCallBlock: execute_call_block(stmt); break;
    case Stmt::Kind::kFilterBlock: return execute_filter_block(stmt);
    case Stmt::Kind::kWith: return execute_with(stmt);
    case Stmt::Kind::kScope: return execute_scope(stmt, scope_);
    case Stmt::Kind::kBlock: return execute_scope(stmt, root_);
    case Stmt::Kind::kBreak: return Flow::kBreak;
    case Stmt::Kind::kContinue: return Flow::kContinue;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute_if(const Stmt& stmt) {
  for (const auto& [condition, body] : stmt.arms) {
    if (evaluate(*condition).truthy()) return execute(body);
  }
  return execute(stmt.otherwise);
}

std::string Interpreter::run_loop(const Stmt& loop, const PyValue& iterable, Scope* around, int depth0) {
  Budget::Call call(budget_);
  std::string text;
  std::string* before = std::exchange(out_, &text);
  loop_over(loop, iterable, around, depth0);
  out_ = before;
  return text;
}

/// It sees the loop's targets but not `loop`.
bool Interpreter::passes(const Stmt& loop, const PyValue& item, Scope* around) {
  budget_.charge();
  Inside inside(*this, around);
  assign(loop.target, item);
  return evaluate(*loop.condition).truthy();
}

Interpreter::Flow Interpreter::loop_over(const Stmt& stmt, const PyValue& iterable, Scope* around, int depth0) {
  auto loop = std::make_shared<Loop>();
  loop->source = PyValue::list(iterate(iterable, budget_));
  loop->depth = loop->source.depth();
  loop->depth0 = depth0;
  loop->statement = &stmt;
  loop->around = around;
  PyValue variable = PyValue::object(loop);
  Inside inside(*this, around);
  bool completed = false;  // jinja2 runs `else` when no turn reached the end of the body, not only when there is none
  for (size_t i = 0; loop->has_turn(*this, i); ++i) {
    budget_.charge();
    loop->index0 = i;
    inside.scope().variables.clear();
    inside.scope().set(ast_.loop_id, variable);
    assign(stmt.target, loop->passed[i]);
    Flow flow = execute(stmt.body);
    completed |= flow == Flow::kNext;
    if (flow == Flow::kBreak) break;
  }
  if (completed) return Flow::kNext;
  inside.scope().variables.clear();
  return execute(stmt.otherwise);
}

Interpreter::Flow Interpreter::execute_captured(const Body& body, std::string& text) {
  Inside inside(*this, scope_);
  std::string* before = std::exchange(out_, &text);
  Flow flow = execute(body);
  out_ = before;
  return flow;
}

Interpreter::Flow Interpreter::execute_set_block(const Stmt& stmt) {
  std::string text;
  if (Flow flow = execute_captured(stmt.body, text); flow != Flow::kNext) return flow;
  PyValue value = PyValue::string(std::move(text));
  if (stmt.expr) value = evaluate_filter(*stmt.expr, &value);
  assign(stmt.target, value);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute_filter_block(const Stmt& stmt) {
  std::string text;
  if (Flow flow = execute_captured(stmt.body, text); flow != Flow::kNext) return flow;
  PyValue value = PyValue::string(std::move(text));
  emit(py_str(evaluate_filter(*stmt.expr, &value), budget_));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute_with(const Stmt& stmt) {
  Items values;
  for (const auto& [target, expr] : stmt.bindings) values.push_back(evaluate(*expr));
  Inside inside(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) assign(stmt.bindings[i].first, values[i]);
  return execute(stmt.body);
}

Interpreter::Flow Interpreter::execute_scope(const Stmt& stmt, Scope* around) {
  Inside inside(*this, around);
  return execute(stmt.body);
}

void Interpreter::execute_call_block(const Stmt& stmt) {
  auto caller = std::make_shared<Macro>();
  caller->definition = &stmt.macro;
  caller->defined_in = capture_scope();
  PyValue function = PyValue::object(std::move(caller));
  emit(py_str(evaluate_call(*stmt.expr, &function), budget_));
}

void Interpreter::assign(const Target& target, const PyValue& value) {
  switch (target.kind) {
    case Target::Kind::kName: return scope_->set(target.id, value);
    case Target::Kind::kTuple: return unpack(target, value);
    case Target::Kind::kNamespace: break;
  }
  PyValue holder = lookup(target.id);
  auto* held = holder.is(PyValue::Kind::kObject) ? dynamic_cast<Namespace*>(&holder.object()) : nullptr;
  if (!held) raise_error("cannot assign attribute on non-namespace object");
  if (target.attribute.starts_with('_')) {
    raise_error(fmt::format("a namespace cannot store the underscore-prefixed attribute '{}'", target.attribute));
  }
  held->attributes.set(target.attribute, value);
}

void Interpreter::unpack(const Target& target, const PyValue& value) {
  Items items = iterate(value, budget_);
  if (items.size() != target.items.size()) {
    raise_error(
        items.size() > target.items.size()
            ? fmt::format("too many values to unpack (expected {})", target.items.size())
            : fmt::format("not enough values to unpack (expected {}, got {})", target.items.size(), items.size()));
  }
  for (size_t i = 0; i < items.size(); ++i) assign(target.items[i], items[i]);
}

void Interpreter::keep(std::shared_ptr<Loop> loop) { changed_loops_.push_back(std::move(loop)); }

PyValue Interpreter::make_namespace(std::shared_ptr<Namespace> made) {
  budget_.charge(8);  // it stays until the rendering ends
  namespaces_.push_back(made);
  return PyValue::object(std::move(made));
}

namespace {

/// Moves the keyword argument `name` out of the call.
std::optional<PyValue> take_named(Args& args, std::string_view name) {
  for (auto it = args.named.begin(); it != args.named.end(); ++it) {
    if (it->first != name) continue;
    PyValue value = std::move(it->second);
    args.named.erase(it);
    return value;
  }
  return std::nullopt;
}

PyValue as_dict(std::vector<std::pair<std::string, PyValue>> named) {
  auto box = std::make_shared<DictBox>();
  for (auto& [name, value] : named) box->set(std::move(name), std::move(value));
  return PyValue::dict(std::move(box));
}

}  // namespace

PyValue Interpreter::call_macro(const MacroDef& macro, Scope* defined_in, const Args& given) {
  Budget::Call call(budget_);
  Inside inside(*this, defined_in);
  Args rest = given;
  size_t n_positional = std::min(rest.positional.size(), macro.parameters.size());
  bool caller_is_parameter = false;
  std::vector<const Parameter*> unset;
  for (size_t i = 0; i < macro.parameters.size(); ++i) {
    const Parameter& parameter = macro.parameters[i];
    const std::string& name = parameter.name;
    caller_is_parameter |= parameter.id == ast_.caller_id;
    std::optional<PyValue> value;
    if (i < n_positional) {
      value = rest.positional[i];
    } else {
      value = take_named(rest, name);
    }
    if (!value && parameter.standard) unset.push_back(&parameter);
    if (!value) value = PyValue::undefined(fmt::format("parameter '{}' was not provided", name));
    inside.scope().set(parameter.id, std::move(*value));
  }
  // A default sees every parameter, those behind it too, and none of the names they hide.
  for (const Parameter* parameter : unset) inside.scope().set(parameter->id, evaluate(*parameter->standard));
  if (macro.reads_caller && !caller_is_parameter) {
    auto caller = take_named(rest, "caller");
    inside.scope().set(ast_.caller_id, caller ? *caller : PyValue::undefined("No caller defined"));
  }
  if (macro.reads_kwargs) {
    inside.scope().set(ast_.kwargs_id, as_dict(std::move(rest.named)));
  } else if (!rest.named.empty()) {
    raise_error(fmt::format("macro '{}' takes no keyword argument '{}'", macro.name, rest.named[0].first));
  }
  if (macro.reads_varargs) {
    auto first = rest.positional.begin() + static_cast<ptrdiff_t>(n_positional);
    inside.scope().set(ast_.varargs_id, PyValue::tuple(Items(first, rest.positional.end())));
  } else if (rest.positional.size() > macro.parameters.size()) {
    raise_error(fmt::format("macro '{}' takes not more than {} argument(s)", macro.name, macro.parameters.size()));
  }
  std::string text;
  std::string* before = std::exchange(out_, &text);
  execute(macro.body);
  out_ = before;
  return PyValue::string(std::move(text));
}

}  // namespace hearth::text::jinja
