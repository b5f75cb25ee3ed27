#include <fmt/format.h>

#include "text/template/filters.h"
#include "text/template/interpreter.h"
#include "text/template/methods.h"
#include "text/template/objects.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"
#include "text/template/value_tests.h"

namespace hearth::text::jinja {
namespace {

/// "str object", "None": how jinja2 names a value in its messages.
std::string object_name(const PyValue& value) {
  return value.is_none() ? "None" : fmt::format("{} object", value.type_name());
}

PyValue no_attribute(const PyValue& value, std::string_view name) {
  return PyValue::undefined(fmt::format("'{}' has no attribute '{}'", object_name(value), name));
}

std::optional<Int> slice_bound(const PyValue& value) {
  if (value.is_none()) return std::nullopt;
  return integer_argument(value, "a slice");
}

bool is_hashable(const PyValue& value) {
  if (value.is(PyValue::Kind::kList) || value.is_dict()) return false;
  if (!value.is(PyValue::Kind::kTuple)) return true;
  for (const PyValue& item : value.items()) {
    if (!is_hashable(item)) return false;
  }
  return true;
}

std::optional<PyValue> number_attribute(const PyValue& value, std::string_view name) {
  bool whole = value.is_integral();
  if (name == "real") return whole ? PyValue::integer(value.as_int()) : value;
  if (name == "imag") return whole ? PyValue::integer(0) : PyValue::number(0);
  if (whole && name == "numerator") return PyValue::integer(value.as_int());
  if (whole && name == "denominator") return PyValue::integer(1);
  return std::nullopt;
}

std::optional<PyValue> sequence_attribute(const PyValue& value, std::string_view name) {
  using Kind = PyValue::Kind;
  if (value.is(Kind::kTuple) && value.tuple_box().is_group) {
    if (name == "grouper") return value.items()[0];
    if (name == "list") return value.items()[1];
  }
  if (value.is(Kind::kRange)) {
    if (name == "start") return PyValue::integer(value.range().start);
    if (name == "stop") return PyValue::integer(value.range().stop);
    if (name == "step") return PyValue::integer(value.range().step);
  }
  if (Method method = find_sequence_method(name)) return make_method(name, method, value);
  if (value.is(Kind::kList) && name == "copy") return make_method(name, find_dict_method(name), value);
  return std::nullopt;
}

/// Attributes a Python object of this type has, without any check of the sandbox.
std::optional<PyValue> raw_attribute(Interpreter& interpreter, const PyValue& value, std::string_view name) {
  using Kind = PyValue::Kind;
  switch (value.kind()) {
    case Kind::kString:
      if (Method method = find_string_method(name)) return make_method(name, method, value);
      return std::nullopt;
    case Kind::kDict:
      if (Method method = find_dict_method(name)) return make_method(name, method, value);
      return std::nullopt;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: return sequence_attribute(value, name);
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kFloat: return number_attribute(value, name);
    case Kind::kObject: return value.object().attribute(interpreter, name);
    default: return std::nullopt;
  }
}

}  // namespace

PyValue Interpreter::lookup(NameId id) {
  for (const Scope* scope = scope_; scope; scope = scope->parent) {
    if (const PyValue* found = scope->find(id)) return *found;
  }
  auto& cached = globals_[static_cast<size_t>(id)];
  if (!cached) {
    const std::string& name = ast_.names[static_cast<size_t>(id)];
    if (const Value* given = context_.find(name)) {
      cached = PyValue::from(*given);
    } else {
      cached = find_global(name);
    }
    if (!cached) cached = PyValue::undefined(fmt::format("'{}' is undefined", name));
  }
  return *cached;
}

PyValue Interpreter::attribute_only(const PyValue& value, std::string_view name) {
  require_defined(value);
  if (changes_value(value, name) || name.starts_with("__")) {
    return PyValue::undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, value.type_name()));
  }
  auto found = name.starts_with('_') ? std::nullopt : raw_attribute(*this, value, name);
  return found ? *found : no_attribute(value, name);
}

PyValue Interpreter::get_attribute(const PyValue& value, std::string_view name) {
  PyValue found = attribute_only(value, name);
  if (!value.is_dict() || !found.is_undefined() || changes_value(value, name)) return found;
  const PyValue* member = value.dict()->find(name);
  return member ? *member : found;
}

PyValue Interpreter::get_item(const PyValue& value, const PyValue& key) {
  require_defined(value);
  if (value.is_dict() && is_hashable(key)) {
    if (const PyValue* member = value.dict()->find(key, budget_)) return *member;
  }
  if (key.is_integral()) {
    if (auto item = item_at(value, key.as_int())) {
      budget_.charge(value.is_string() ? static_cast<int64_t>(value.bytes().size() / 64) : 0);
      return *item;
    }
  }
  if (key.is_string()) return attribute_only(value, key.bytes());
  return PyValue::undefined(fmt::format("{} has no element {}", object_name(value), py_repr(key, budget_)));
}

PyValue Interpreter::call(const PyValue& callee, const Args& args) {
  require_defined(callee);
  budget_.charge();
  if (callee.is(PyValue::Kind::kObject)) return callee.object().call(*this, args);
  raise_error(fmt::format("'{}' object is not callable", callee.type_name()));
}

PyValue Interpreter::call_filter(std::string_view name, const PyValue& value, const Args& args) {
  budget_.charge();
  Filter filter = find_filter(name);
  if (!filter) raise_error(fmt::format("No filter named '{}'.", name));
  return filter(*this, value, args);
}

bool Interpreter::call_test(std::string_view name, const PyValue& value, const Args& args) {
  budget_.charge();
  ValueTest test = find_test(name);
  if (!test) raise_error(fmt::format("No test named '{}'.", name));
  return test(*this, value, args);
}

PyValue Interpreter::evaluate(const Expr& expr) {
  budget_.charge();
  Budget::Level level(budget_);
  using Kind = Expr::Kind;
  switch (expr.kind) {
    case Kind::kConstant: return expr.value;
    case Kind::kName: return lookup(expr.id);
    case Kind::kTuple:
    case Kind::kList: return evaluate_items(expr);
    case Kind::kDict: return evaluate_dict(expr);
    case Kind::kAttribute: return get_attribute(evaluate(*expr.items[0]), expr.text);
    case Kind::kItem: return evaluate_item(expr);
    case Kind::kSlice: raise_error("a slice stands only between [ and ]");
    case Kind::kCall: return evaluate_call(expr);
    case Kind::kFilter: return evaluate_filter(expr);
    case Kind::kTest: {
      PyValue value = evaluate(*expr.items[0]);
      Args args = evaluate_arguments(expr);
      line_ = expr.line;
      return PyValue::boolean(call_test(expr.text, value, args));
    }
    case Kind::kNegate: return py_negate(evaluate(*expr.items[0]));
    case Kind::kPositive: return py_positive(evaluate(*expr.items[0]));
    case Kind::kNot: return PyValue::boolean(!evaluate(*expr.items[0]).truthy());
    case Kind::kBinary: return evaluate_binary(expr);
    case Kind::kConcat: return evaluate_concat(expr);
    case Kind::kCompare: return PyValue::boolean(evaluate_compare(expr));
    case Kind::kAnd:
    case Kind::kOr: return evaluate_logic(expr);
    case Kind::kConditional: return evaluate_conditional(expr);
  }
  return {};
}

PyValue Interpreter::evaluate_items(const Expr& expr) {
  Items items;
  items.reserve(expr.items.size());
  for (const ExprPtr& item : expr.items) items.push_back(evaluate(*item));
  return expr.kind == Expr::Kind::kList ? PyValue::list(std::move(items)) : PyValue::tuple(std::move(items));
}

PyValue Interpreter::evaluate_dict(const Expr& expr) {
  auto box = std::make_shared<DictBox>();
  for (size_t i = 0; i + 1 < expr.items.size(); i += 2) {
    PyValue key = evaluate(*expr.items[i]);
    box->set(std::move(key), evaluate(*expr.items[i + 1]), budget_);
  }
  return PyValue::dict(std::move(box));
}

PyValue Interpreter::evaluate_item(const Expr& expr) {
  PyValue value = evaluate(*expr.items[0]);
  if (expr.items[1]->kind == Expr::Kind::kSlice) return evaluate_slice(value, *expr.items[1]);
  PyValue key = evaluate(*expr.items[1]);
  return get_item(value, key);
}

PyValue Interpreter::evaluate_slice(const PyValue& value, const Expr& slice) {
  PyValue bounds[3];
  for (size_t i = 0; i < 3; ++i) {
    if (slice.items[i]) bounds[i] = evaluate(*slice.items[i]);
  }
  require_defined(value);
  bool sliceable = value.is_string() || value.is(PyValue::Kind::kList) || value.is(PyValue::Kind::kTuple) ||
                   value.is(PyValue::Kind::kRange);
  if (!sliceable) raise_error(fmt::format("a {} has no slices", object_name(value)));
  return slice_of(value, {slice_bound(bounds[0]), slice_bound(bounds[1]), slice_bound(bounds[2])}, budget_);
}

Args Interpreter::evaluate_arguments(const Expr& expr) {
  Args args;
  for (const ExprPtr& argument : expr.arguments) args.positional.push_back(evaluate(*argument));
  for (const auto& [name, argument] : expr.named) args.named.emplace_back(name, evaluate(*argument));
  if (expr.star) {
    for (PyValue& item : iterate(evaluate(*expr.star), budget_)) args.positional.push_back(std::move(item));
  }
  if (!expr.double_star) return args;
  PyValue extra = evaluate(*expr.double_star);
  if (!extra.is_dict()) raise_error(fmt::format("argument after ** must be a mapping, not {}", extra.type_name()));
  for (const auto& [key, value] : extra.dict()->members) {
    if (!key.is_string()) raise_error("keywords must be strings");
    for (const auto& [name, given] : args.named) {
      if (name == key.bytes()) raise_error(fmt::format("got multiple values for keyword argument '{}'", name));
    }
    args.named.emplace_back(key.bytes(), value);
  }
  return args;
}

PyValue Interpreter::evaluate_call(const Expr& expr, const PyValue* caller) {
  PyValue callee = evaluate(*expr.items[0]);
  Args args = evaluate_arguments(expr);
  if (caller) args.named.emplace_back("caller", *caller);
  line_ = expr.line;
  return call(callee, args);
}

PyValue Interpreter::evaluate_filter(const Expr& expr, const PyValue* block_text) {
  PyValue value;
  if (expr.items[0]) {
    bool inner_is_filter = block_text && expr.items[0]->kind == Expr::Kind::kFilter;
    value = inner_is_filter ? evaluate_filter(*expr.items[0], block_text) : evaluate(*expr.items[0]);
  } else if (block_text) {
    value = *block_text;
  }
  Args args = evaluate_arguments(expr);
  line_ = expr.line;
  return call_filter(expr.text, value, args);
}

PyValue Interpreter::evaluate_binary(const Expr& expr) {
  PyValue left = evaluate(*expr.items[0]);
  PyValue right = evaluate(*expr.items[1]);
  line_ = expr.line;
  if (expr.text == "+") return py_add(left, right, budget_);
  if (expr.text == "-") return py_subtract(left, right);
  if (expr.text == "*") return py_multiply(left, right, budget_);
  if (expr.text == "/") return py_divide(left, right);
  if (expr.text == "//") return py_floor_divide(left, right);
  if (expr.text == "%") return py_modulo(left, right, budget_);
  return py_power(left, right, budget_);
}

PyValue Interpreter::evaluate_concat(const Expr& expr) {
  std::string text;
  for (const ExprPtr& piece : expr.items) {
    text += py_str(evaluate(*piece), budget_);
    budget_.charge_text(text.size());
  }
  return PyValue::string(std::move(text));
}

PyValue Interpreter::evaluate_logic(const Expr& expr) {
  PyValue left = evaluate(*expr.items[0]);
  bool settled = left.truthy() == (expr.kind == Expr::Kind::kOr);
  return settled ? left : evaluate(*expr.items[1]);
}

PyValue Interpreter::evaluate_conditional(const Expr& expr) {
  if (evaluate(*expr.items[0]).truthy()) return evaluate(*expr.items[1]);
  if (expr.items[2]) return evaluate(*expr.items[2]);
  return PyValue::undefined(fmt::format(
      "the inline if-expression on line {} evaluated to false and no else section was defined.", expr.line));
}

bool Interpreter::evaluate_compare(const Expr& expr) {
  PyValue left = evaluate(*expr.items[0]);
  for (size_t i = 0; i < expr.ops.size(); ++i) {
    PyValue right = evaluate(*expr.items[i + 1]);
    line_ = expr.line;
    if (!compare_once(expr.ops[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

bool Interpreter::compare_once(std::string_view op, const PyValue& left, const PyValue& right) {
  if (op == "==") return py_equal(left, right, budget_);
  if (op == "!=") return !py_equal(left, right, budget_);
  if (op == "<") return py_less(left, right, budget_);
  if (op == "<=") return py_less_equal(left, right, budget_);
  if (op == ">") return py_less(right, left, budget_, ">");
  if (op == ">=") return py_less_equal(right, left, budget_, ">=");
  return py_contains(right, left, budget_) == (op == "in");
}

}  // namespace hearth::text::jinja
