#include "text/template/number_text.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "text/template/code_points.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"
#include "text/template/text_ops.h"

namespace hearth::text::jinja {
namespace {

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

/// Cuts off "0x", "0o" or "0b" and says which base it stands for; 0 when there is none.
int cut_prefix(std::string_view& text) {
  if (text.size() < 2 || text[0] != '0') return 0;
  char mark = static_cast<char>(text[1] | 0x20);
  return mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
}

/// The text without underscores, which may only stand between digits.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      plain += text[i];
      continue;
    }
    bool between = i > 0 && i + 1 < text.size() && digit_value(text[i - 1]) < 99 && digit_value(text[i + 1]) < 99;
    if (!between) return std::nullopt;
  }
  return plain;
}

}  // namespace

std::optional<Int> parse_int(std::string_view text, Int base) {
  text = strip(text, Side::kBoth);
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int prefix = cut_prefix(text);
  bool uses_prefix = prefix != 0 && (base == prefix || base == 0);
  if (uses_prefix) {
    text.remove_prefix(2);
    if (text.starts_with('_')) text.remove_prefix(1);
  }
  if (base == 0) base = prefix != 0 ? prefix : 10;
  auto digits = without_underscores(text);
  if (!digits || digits->empty() || base < 2 || base > 36) return std::nullopt;
  Int value = 0;
  for (char c : *digits) {
    int digit = digit_value(c);
    if (digit >= base) return std::nullopt;
    if (value > (Int(1) << 120)) throw Error(Code::kUnsupported, "an integer of more than 120 bits");
    value = value * base + digit;
  }
  return negative ? -value : value;
}

std::optional<double> parse_float(std::string_view text) {
  auto plain = without_underscores(strip(text, Side::kBoth));
  if (!plain || plain->empty()) return std::nullopt;
  std::string_view unsigned_text = *plain;
  if (unsigned_text[0] == '-' || unsigned_text[0] == '+') unsigned_text.remove_prefix(1);
  std::string name = to_lower(unsigned_text);
  bool named = name == "inf" || name == "infinity" || name == "nan";
  bool decimal = !name.empty() && name.find_first_not_of("0123456789.e+-") == std::string::npos;
  if (!named && !decimal) return std::nullopt;
  char* end = nullptr;
  double value = std::strtod(plain->c_str(), &end);
  if (end != plain->c_str() + plain->size()) return std::nullopt;
  return value;
}

PyValue round_half_even(const PyValue& value, Int precision, Budget& budget) {
  constexpr Int kFarthest = 400;  // digits; beyond them a double has nothing to round
  if (value.is_integral()) {
    if (precision >= 0) return PyValue::integer(value.as_int());
    if (precision < -36) return PyValue::integer(0);
    Int unit = py_power(PyValue::integer(10), PyValue::integer(-precision), budget).as_int();
    Int rest = py_modulo(value, PyValue::integer(unit), budget).as_int();
    Int lower = value.as_int() - rest;
    bool up = rest * 2 > unit || (rest * 2 == unit && (lower / unit) % 2 != 0);
    return PyValue::integer(up ? lower + unit : lower);
  }
  double number = value.as_double();
  if (!std::isfinite(number) || precision > kFarthest) return value;
  if (precision < -kFarthest) return PyValue::number(std::copysign(0.0, number));
  if (precision >= 0) {
    std::string digits = float_digits(std::abs(number), 'f', static_cast<int>(precision), false);
    return PyValue::number(std::copysign(std::strtod(digits.c_str(), nullptr), number));
  }
  double unit = std::pow(10.0, static_cast<double>(-precision));
  return PyValue::number(std::nearbyint(number / unit) * unit);
}

}  // namespace hearth::text::jinja
