#include <array>
#include <cmath>

#include <fmt/format.h>

#include "text/template/filters.h"
#include "text/template/json_dump.h"
#include "text/template/number_text.h"
#include "text/template/parameters.h"
#include "text/template/pretty_print.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;

PyValue filter_default(Interpreter&, const PyValue& value, const Args& args) {
  Parameters given("default", args, {"default_value", "boolean"});
  bool replaces = value.is_undefined() || (given.flag(1, false) && !value.truthy());
  if (!replaces) return value;
  return given.has(0) ? given.at(0) : PyValue::string("");
}

PyValue filter_attr(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("attr", args, {"name"}, 1);
  return interpreter.attribute_only(value, given.text(0));
}

PyValue filter_abs(Interpreter&, const PyValue& value, const Args& args) {
  Parameters("abs", args, {});
  require_defined(value);
  if (!value.is_number()) raise_error(fmt::format("bad operand type for abs(): '{}'", value.type_name()));
  if (value.is(Kind::kFloat)) return PyValue::number(std::abs(value.as_double()));
  return value.as_int() < 0 ? py_negate(value) : PyValue::integer(value.as_int());
}

Int truncated(double number) {
  if (!(std::abs(number) < 1e37)) raise_error("cannot convert float infinity or a number beyond 128 bits to integer");
  return static_cast<Int>(number);
}

PyValue filter_int(Interpreter&, const PyValue& value, const Args& args) {
  Parameters given("int", args, {"default", "base"});
  PyValue standard = given.has(0) ? given.at(0) : PyValue::integer(0);
  require_defined(value);
  if (value.is_integral()) return PyValue::integer(value.as_int());
  if (value.is(Kind::kFloat)) {
    return std::isnan(value.as_double()) ? standard : PyValue::integer(truncated(value.as_double()));
  }
  if (!value.is_string()) return standard;
  if (auto whole = parse_int(value.bytes(), given.integer(1, 10))) return PyValue::integer(*whole);
  auto number = parse_float(value.bytes());  // "42.23"|int is 42
  return number && std::isfinite(*number) ? PyValue::integer(truncated(*number)) : standard;
}

PyValue filter_float(Interpreter&, const PyValue& value, const Args& args) {
  Parameters given("float", args, {"default"});
  require_defined(value);
  if (value.is_number()) return PyValue::number(value.as_double());
  auto number = value.is_string() ? parse_float(value.bytes()) : std::nullopt;
  if (number) return PyValue::number(*number);
  return given.has(0) ? given.at(0) : PyValue::number(0);
}

PyValue filter_round(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("round", args, {"precision", "method"});
  std::string method = given.has(1) ? given.text(1) : "common";
  if (method != "common" && method != "ceil" && method != "floor") raise_error("method must be common, ceil or floor");
  require_defined(value);
  if (!value.is_number()) raise_error(fmt::format("type {} doesn't define __round__ method", value.type_name()));
  Int precision = given.integer(0, 0);
  if (method == "common") return round_half_even(value, precision, interpreter.budget());
  PyValue scale = py_power(PyValue::integer(10), PyValue::integer(precision), interpreter.budget());
  double scaled = py_multiply(value, scale, interpreter.budget()).as_double();
  double whole = method == "ceil" ? std::ceil(scaled) : std::floor(scaled);
  return py_divide(PyValue::integer(truncated(whole)), scale);
}

PyValue filter_filesizeformat(Interpreter&, const PyValue& value, const Args& args) {
  Parameters given("filesizeformat", args, {"binary"});
  require_defined(value);
  auto number = value.is_string() ? parse_float(value.bytes()) : std::nullopt;
  if (!number && !value.is_number()) {
    raise_error(fmt::format("filesizeformat wants a number, got '{}'", value.type_name()));
  }
  double bytes = number ? *number : value.as_double();
  bool binary = given.flag(0, false);
  double base = binary ? 1024 : 1000;
  if (bytes == 1) return PyValue::string("1 Byte");
  if (bytes < base) return PyValue::string(fmt::format("{} Bytes", int_text(truncated(bytes))));
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  std::string name;
  for (char prefix : kPrefixes) {
    unit *= base;
    name = prefix == 'k' && binary ? "K" : std::string(1, prefix);
    if (bytes < unit) break;
  }
  return PyValue::string(float_digits(base * bytes / unit, 'f', 1, false) + " " + name + (binary ? "iB" : "B"));
}

PyValue filter_tojson(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  Budget& budget = interpreter.budget();
  style.ascii_only = given.flag(0, false);
  style.sort_keys = given.flag(3, false);
  if (given.given_and_not_none(1)) {
    const PyValue& indent = given.at(1);
    style.indent = indent.is_string()
                       ? indent.bytes()
                       : repeat_text(PyValue::string(" "), integer_argument(indent, "tojson's indent"), budget).bytes();
    style.item_separator = ",";
  }
  if (given.given_and_not_none(2)) {
    Items separators = iterate(given.at(2), budget);
    if (separators.size() != 2 || !separators[0].is_string() || !separators[1].is_string()) {
      raise_error("tojson wants two strings as separators");
    }
    style.item_separator = separators[0].bytes();
    style.key_separator = separators[1].bytes();
  }
  return PyValue::string(dump_json(value, style, budget));
}

PyValue filter_pprint(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("pprint", args, {});
  return PyValue::string(pretty_print(value, interpreter.budget()));
}

PyValue filter_random(Interpreter&, const PyValue&, const Args&) {
  throw Error(Code::kUnsupported, "the filter random: a chat template must render the same text every time");
}

constexpr auto kFilters = std::to_array<NamedFilter>({
    {"default", filter_default}, {"d", filter_default}, {"attr", filter_attr}, {"abs", filter_abs},
    {"int", filter_int}, {"float", filter_float}, {"round", filter_round}, {"filesizeformat", filter_filesizeformat},
    {"tojson", filter_tojson}, {"pprint", filter_pprint}, {"random", filter_random},
});

}  // namespace

std::span<const NamedFilter> value_filters() { return kFilters; }

}  // namespace hearth::text::jinja
