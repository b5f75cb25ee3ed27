#include "text/template/value_tests.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "text/template/code_points.h"
#include "text/template/filters.h"
#include "text/template/parameters.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;

void no_arguments(const Args& args) { Parameters("test", args, {}); }

const PyValue& one_argument(const Args& args) {
  if (args.positional.size() != 1 || !args.named.empty()) raise_error("this test takes one argument");
  return args.positional[0];
}

template <Kind kind>
bool is_kind(Interpreter&, const PyValue& value, const Args& args) {
  no_arguments(args);
  return value.is(kind);
}

PyValue remainder(Interpreter& interpreter, const PyValue& value, Int divisor) {
  return py_modulo(value, PyValue::integer(divisor), interpreter.budget());
}

bool equals_int(const PyValue& value, Int number) {
  return value.is_number() && value.as_double() == static_cast<double>(number);
}

bool test_odd(Interpreter& interpreter, const PyValue& value, const Args& args) {
  no_arguments(args);
  return equals_int(remainder(interpreter, value, 2), 1);
}

bool test_even(Interpreter& interpreter, const PyValue& value, const Args& args) {
  no_arguments(args);
  return equals_int(remainder(interpreter, value, 2), 0);
}

bool test_divisibleby(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("divisibleby", args, {"num"}, 1);
  return equals_int(py_modulo(value, given.at(0), interpreter.budget()), 0);
}

bool test_defined(Interpreter&, const PyValue& value, const Args& args) {
  no_arguments(args);
  return !value.is_undefined();
}

bool test_filter(Interpreter&, const PyValue& value, const Args& args) {
  no_arguments(args);
  return value.is_string() && find_filter(value.bytes()) != nullptr;
}

bool test_test(Interpreter&, const PyValue& value, const Args& args) {
  no_arguments(args);
  return value.is_string() && find_test(value.bytes()) != nullptr;
}

template <bool wanted>
bool is_bool(Interpreter&, const PyValue& value, const Args& args) {
  no_arguments(args);
  return value.is(Kind::kBool) && value.as_bool() == wanted;
}

bool test_number(Interpreter&, const PyValue& value, const Args& args) {
  no_arguments(args);
  return value.is_number();
}

/// Every cased character satisfies `wanted`, and there is one.
template <bool (*wanted)(char32_t), bool (*other)(char32_t)>
bool test_case(Interpreter& interpreter, const PyValue& value, const Args& args) {
  no_arguments(args);
  std::string text = py_str(value, interpreter.budget());
  bool any = false;
  for (size_t pos = 0; pos < text.size();) {
    char32_t c = next_code_point(text, pos);
    if (other(c) || is_title(c)) return false;
    any |= wanted(c);
  }
  return any;
}

bool test_sequence(Interpreter&, const PyValue& value, const Args& args) {
  no_arguments(args);
  return py_length(value).has_value() && !value.is(Kind::kView);
}

bool test_iterable(Interpreter&, const PyValue& value, const Args& args) {
  no_arguments(args);
  return is_iterable(value);
}

bool test_callable(Interpreter&, const PyValue& value, const Args& args) {
  no_arguments(args);
  return value.is_undefined() || (value.is(Kind::kObject) && value.object().is_callable());
}

bool test_escaped(Interpreter&, const PyValue& value, const Args& args) {
  no_arguments(args);
  return value.is_markup();
}

bool test_sameas(Interpreter&, const PyValue& value, const Args& args) {
  Parameters given("sameas", args, {"other"}, 1);
  return value.is_same(given.at(0));
}

bool test_in(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("in", args, {"seq"}, 1);
  return py_contains(given.at(0), value, interpreter.budget());
}

bool test_eq(Interpreter& interpreter, const PyValue& value, const Args& args) {
  return py_equal(value, one_argument(args), interpreter.budget());
}

bool test_ne(Interpreter& interpreter, const PyValue& value, const Args& args) {
  return !py_equal(value, one_argument(args), interpreter.budget());
}

bool test_lt(Interpreter& interpreter, const PyValue& value, const Args& args) {
  return py_less(value, one_argument(args), interpreter.budget());
}

bool test_le(Interpreter& interpreter, const PyValue& value, const Args& args) {
  return py_less_equal(value, one_argument(args), interpreter.budget());
}

bool test_gt(Interpreter& interpreter, const PyValue& value, const Args& args) {
  return py_less(one_argument(args), value, interpreter.budget(), ">");
}

bool test_ge(Interpreter& interpreter, const PyValue& value, const Args& args) {
  return py_less_equal(one_argument(args), value, interpreter.budget(), ">=");
}

constexpr auto kTests = std::to_array<std::pair<std::string_view, ValueTest>>({
    {"odd", test_odd}, {"even", test_even}, {"divisibleby", test_divisibleby},
    {"defined", test_defined}, {"undefined", is_kind<Kind::kUndefined>},
    {"filter", test_filter}, {"test", test_test},
    {"none", is_kind<Kind::kNone>}, {"boolean", is_kind<Kind::kBool>},
    {"false", is_bool<false>}, {"true", is_bool<true>},
    {"integer", is_kind<Kind::kInt>}, {"float", is_kind<Kind::kFloat>}, {"number", test_number},
    {"string", is_kind<Kind::kString>}, {"mapping", is_kind<Kind::kDict>},
    {"lower", test_case<is_lower, is_upper>}, {"upper", test_case<is_upper, is_lower>},
    {"sequence", test_sequence}, {"iterable", test_iterable}, {"callable", test_callable},
    {"sameas", test_sameas}, {"escaped", test_escaped}, {"in", test_in},
    {"==", test_eq}, {"eq", test_eq}, {"equalto", test_eq}, {"!=", test_ne}, {"ne", test_ne},
    {">", test_gt}, {"gt", test_gt}, {"greaterthan", test_gt}, {">=", test_ge}, {"ge", test_ge},
    {"<", test_lt}, {"lt", test_lt}, {"lessthan", test_lt}, {"<=", test_le}, {"le", test_le},
});

}  // namespace

ValueTest find_test(std::string_view name) {
  for (const auto& [held, test] : kTests) {
    if (held == name) return test;
  }
  return nullptr;
}

}  // namespace hearth::text::jinja
