#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "text/template/markup.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;
constexpr Int kLowest = static_cast<Int>(static_cast<unsigned __int128>(1) << 127);

[[noreturn]] void unsupported(std::string_view op, const PyValue& a, const PyValue& b) {
  require_defined(a);
  require_defined(b);
  raise_error(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", op, a.type_name(), b.type_name()));
}

[[noreturn]] void too_large(std::string_view op) {
  throw Error(Code::kUnsupported, fmt::format("the result of '{}' is an integer of more than 128 bits", op));
}

/// The most negative integer is refused as well, so that negating never overflows.
PyValue bounded(bool overflowed, Int result, std::string_view op) {
  if (overflowed || result == kLowest) too_large(op);
  return PyValue::integer(result);
}

void require_numbers(std::string_view op, const PyValue& a, const PyValue& b) {
  if (!a.is_number() || !b.is_number()) unsupported(op, a, b);
}

PyValue concatenate_items(const PyValue& a, const PyValue& b, Budget& budget) {
  budget.charge_items(a.items().size() + b.items().size());
  Items joined = a.items();
  joined.insert(joined.end(), b.items().begin(), b.items().end());
  return a.is(Kind::kList) ? PyValue::list(std::move(joined)) : PyValue::tuple(std::move(joined));
}

PyValue repeat(const PyValue& sequence, const PyValue& times, Budget& budget) {
  Int count = std::max<Int>(times.as_int(), 0);
  if (sequence.is_string()) return repeat_text(sequence, count, budget);
  const Items& items = sequence.items();
  if (items.empty()) count = 0;
  if (count > std::numeric_limits<int32_t>::max()) count = std::numeric_limits<int32_t>::max();
  budget.charge_items(items.size() * static_cast<size_t>(count));
  Items repeated;
  for (Int i = 0; i < count; ++i) repeated.insert(repeated.end(), items.begin(), items.end());
  return sequence.is(Kind::kList) ? PyValue::list(std::move(repeated)) : PyValue::tuple(std::move(repeated));
}

bool is_repeatable(const PyValue& value) {
  return value.is_string() || value.is(Kind::kList) || value.is(Kind::kTuple);
}

Int floor_quotient(Int a, Int b) {
  Int quotient = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? quotient - 1 : quotient;
}

double python_fmod(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0) return (b < 0) != (rest < 0) ? rest + b : rest;
  return std::copysign(0.0, b);
}

double python_floor_divide(double a, double b) {
  double quotient = (a - python_fmod(a, b)) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

Int integer_power(Int base, Int exponent) {
  Int result = 1;
  while (exponent > 0) {
    if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) too_large("**");
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) too_large("**");
  }
  return result;
}

}  // namespace

PyValue py_add(const PyValue& a, const PyValue& b, Budget& budget) {
  if (a.is_string() && b.is_string()) {
    budget.charge_text(a.bytes().size() + b.bytes().size());
    if (a.is_markup() == b.is_markup()) return PyValue::string(a.bytes() + b.bytes(), a.is_markup());
    return PyValue::string(markup_text(a, budget) + markup_text(b, budget), true);
  }
  if (a.is_integral() && b.is_integral()) {
    Int sum;
    bool overflowed = __builtin_add_overflow(a.as_int(), b.as_int(), &sum);
    return bounded(overflowed, sum, "+");
  }
  bool sequences = a.kind() == b.kind() && (a.is(Kind::kList) || a.is(Kind::kTuple));
  if (sequences) return concatenate_items(a, b, budget);
  require_defined(a);
  require_defined(b);
  if (a.is_string() && !a.is_markup()) {
    raise_error(fmt::format("can only concatenate str (not \"{}\") to str", b.type_name()));
  }
  require_numbers("+", a, b);
  return PyValue::number(a.as_double() + b.as_double());
}

PyValue py_subtract(const PyValue& a, const PyValue& b) {
  require_numbers("-", a, b);
  if (!a.is_integral() || !b.is_integral()) return PyValue::number(a.as_double() - b.as_double());
  Int difference;
  bool overflowed = __builtin_sub_overflow(a.as_int(), b.as_int(), &difference);
  return bounded(overflowed, difference, "-");
}

PyValue py_multiply(const PyValue& a, const PyValue& b, Budget& budget) {
  if (is_repeatable(a) && b.is_integral()) return repeat(a, b, budget);
  if (is_repeatable(b) && a.is_integral()) return repeat(b, a, budget);
  require_numbers("*", a, b);
  if (!a.is_integral() || !b.is_integral()) return PyValue::number(a.as_double() * b.as_double());
  Int product;
  bool overflowed = __builtin_mul_overflow(a.as_int(), b.as_int(), &product);
  return bounded(overflowed, product, "*");
}

PyValue py_divide(const PyValue& a, const PyValue& b) {
  require_numbers("/", a, b);
  if (b.as_double() == 0) {
    raise_error(a.is_integral() && b.is_integral() ? "division by zero" : "float division by zero");
  }
  return PyValue::number(a.as_double() / b.as_double());
}

PyValue py_floor_divide(const PyValue& a, const PyValue& b) {
  require_numbers("//", a, b);
  if (a.is_integral() && b.is_integral()) {
    if (b.as_int() == 0) raise_error("integer division or modulo by zero");
    if (b.as_int() == -1) return py_subtract(PyValue::integer(0), a);
    return PyValue::integer(floor_quotient(a.as_int(), b.as_int()));
  }
  if (b.as_double() == 0) raise_error("float floor division by zero");
  return PyValue::number(python_floor_divide(a.as_double(), b.as_double()));
}

PyValue py_modulo(const PyValue& a, const PyValue& b, Budget& budget) {
  if (a.is_string()) return percent_format(a, b, budget);
  require_numbers("%", a, b);
  if (a.is_integral() && b.is_integral()) {
    if (b.as_int() == 0) raise_error("integer division or modulo by zero");
    if (b.as_int() == -1) return PyValue::integer(0);
    return PyValue::integer(a.as_int() - floor_quotient(a.as_int(), b.as_int()) * b.as_int());
  }
  if (b.as_double() == 0) raise_error("float modulo");
  return PyValue::number(python_fmod(a.as_double(), b.as_double()));
}

PyValue py_power(const PyValue& a, const PyValue& b, Budget& budget) {
  require_numbers("**", a, b);
  budget.charge();
  if (a.is_integral() && b.is_integral() && b.as_int() >= 0) {
    Int base = a.as_int();
    if (base == 0 || base == 1 || base == -1) {
      if (b.as_int() == 0) return PyValue::integer(1);
      return PyValue::integer(base == -1 && b.as_int() % 2 == 0 ? 1 : base);
    }
    return bounded(false, integer_power(base, b.as_int()), "**");
  }
  if (a.as_double() == 0 && b.as_double() < 0) raise_error("0.0 cannot be raised to a negative power");
  double result = std::pow(a.as_double(), b.as_double());
  if (std::isnan(result) && a.as_double() < 0) {
    throw Error(Code::kUnsupported, "a negative number to a fractional power is a complex number");
  }
  if (std::isinf(result) && std::isfinite(a.as_double()) && std::isfinite(b.as_double())) {
    raise_error("(34, 'Numerical result out of range')");
  }
  return PyValue::number(result);
}

PyValue py_negate(const PyValue& a) {
  require_defined(a);
  if (a.is_integral()) return py_subtract(PyValue::integer(0), a);
  if (a.is(Kind::kFloat)) return PyValue::number(-a.as_double());
  raise_error(fmt::format("bad operand type for unary -: '{}'", a.type_name()));
}

PyValue py_positive(const PyValue& a) {
  require_defined(a);
  if (a.is_integral()) return PyValue::integer(a.as_int());
  if (a.is(Kind::kFloat)) return a;
  raise_error(fmt::format("bad operand type for unary +: '{}'", a.type_name()));
}

}  // namespace hearth::text::jinja
