#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "text/template/code_points.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {
namespace {

constexpr int kMaxPrecision = 1000;  // digits behind the point anyone asks for; more is a bomb

struct Spec {  // [[fill]align][sign][#][0][width][grouping][.precision][type]
  FieldLayout layout;
  bool aligned = false;
  char sign = '-';
  bool alternate = false;
  char grouping = 0;
  int precision = -1;
  char type = 0;
};

bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

int read_number(std::string_view spec, size_t& pos, int missing) {
  size_t begin = pos;
  int64_t number = 0;
  while (pos < spec.size() && spec[pos] >= '0' && spec[pos] <= '9') {
    number = std::min<int64_t>(number * 10 + (spec[pos++] - '0'), INT32_MAX);
  }
  return pos == begin ? missing : static_cast<int>(number);
}

void read_alignment(std::string_view text, size_t& pos, Spec& spec) {
  size_t after = pos;
  if (text.empty()) return;
  char32_t fill = next_code_point(text, after);
  if (after < text.size() && is_align(text[after])) {
    spec.layout.fill = fill;
    spec.layout.align = text[after];
    spec.aligned = true;
    pos = after + 1;
  } else if (is_align(text[0])) {
    spec.layout.align = text[0];
    spec.aligned = true;
    pos = 1;
  }
}

Spec parse_spec(std::string_view text) {
  Spec spec;
  size_t pos = 0;
  read_alignment(text, pos, spec);
  auto next_is = [&](std::string_view set) {
    return pos < text.size() && set.find(text[pos]) != std::string_view::npos;
  };
  if (next_is("+- ")) spec.sign = text[pos++];
  if (next_is("#")) spec.alternate = true, ++pos;
  if (next_is("0")) {
    ++pos;
    if (!spec.aligned) spec.layout.fill = U'0', spec.layout.align = '=', spec.aligned = true;
  }
  spec.layout.width = static_cast<size_t>(read_number(text, pos, 0));
  if (next_is(",_")) spec.grouping = text[pos++];
  if (next_is(".")) {
    ++pos;
    spec.precision = read_number(text, pos, -1);
    if (spec.precision < 0) raise_error("Format specifier missing precision");
  }
  if (pos < text.size()) spec.type = text[pos++];
  if (pos < text.size()) raise_error(fmt::format("Invalid format specifier '{}'", text));
  return spec;
}

std::string grouped(const std::string& digits, char separator) {
  size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string result;
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % 3 == 0) result += separator;
    result += digits[i];
  }
  return result + digits.substr(whole);
}

std::string sign_text(bool negative, char sign) {
  if (negative) return "-";
  return sign == '-' ? "" : std::string(1, sign);
}

[[noreturn]] void unknown_type(char type, const PyValue& value) {
  raise_error(fmt::format("Unknown format code '{}' for object of type '{}'", type, value.type_name()));
}

std::string format_text(const PyValue& value, Spec spec, Budget& budget) {
  if (spec.type != 0 && spec.type != 's') unknown_type(spec.type, value);
  if (spec.layout.align == '=' && spec.aligned) raise_error("'=' alignment not allowed in string format specifier");
  if (!spec.aligned) spec.layout.align = '<';
  std::string text = py_str(value, budget);
  if (spec.precision >= 0) text.resize(byte_offset(text, 0, static_cast<size_t>(spec.precision)));
  return lay_out("", text, spec.layout, budget);
}

std::string format_integer(const PyValue& value, const Spec& spec, Budget& budget) {
  Int number = value.as_int();
  int base = 10;
  std::string prefix;
  switch (spec.type) {
    case 0:
    case 'd':
    case 'n': break;
    case 'b': base = 2, prefix = "0b"; break;
    case 'o': base = 8, prefix = "0o"; break;
    case 'x': base = 16, prefix = "0x"; break;
    case 'X': base = 16, prefix = "0X"; break;
    case 'c': {
      std::string text;
      append_code_point(text, static_cast<char32_t>(number));
      return lay_out("", text, spec.layout, budget);
    }
    default: unknown_type(spec.type, value);
  }
  if (spec.precision >= 0) raise_error("Precision not allowed in integer format specifier");
  std::string digits = int_digits(number < 0 ? -number : number, base, spec.type == 'X');
  if (spec.grouping) digits = grouped(digits, spec.grouping);
  return lay_out(sign_text(number < 0, spec.sign) + (spec.alternate ? prefix : ""), digits, spec.layout, budget);
}

std::string format_float(const PyValue& value, const Spec& spec, Budget& budget) {
  double number = value.as_double();
  bool negative = std::signbit(number) && !std::isnan(number);
  std::string digits;
  char type = spec.type;
  if (type == '%') {
    digits = float_digits(std::abs(number) * 100, 'f', spec.precision < 0 ? 6 : spec.precision, spec.alternate) + "%";
  } else if (type == 0 && spec.precision < 0) {
    digits = float_repr(std::abs(number));
  } else if (type == 0 || type == 'n') {
    digits = float_digits(std::abs(number), 'g', spec.precision < 0 ? 6 : spec.precision, spec.alternate);
    if (type == 0 && digits.find_first_not_of("0123456789") == std::string::npos) digits += ".0";
  } else if (std::string_view("eEfFgG").find(type) != std::string_view::npos) {
    digits = float_digits(std::abs(number), type, spec.precision < 0 ? 6 : spec.precision, spec.alternate);
  } else {
    unknown_type(type, value);
  }
  if (spec.grouping) digits = grouped(digits, spec.grouping);
  return lay_out(sign_text(negative, spec.sign), digits, spec.layout, budget);
}

}  // namespace

std::string int_digits(Int magnitude, int base, bool upper_case) {
  const char* letters = upper_case ? "0123456789ABCDEF" : "0123456789abcdef";
  auto rest = static_cast<unsigned __int128>(magnitude);
  std::string digits;
  do {
    digits += letters[static_cast<size_t>(rest % static_cast<unsigned>(base))];
    rest /= static_cast<unsigned>(base);
  } while (rest > 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string float_digits(double magnitude, char type, int precision, bool alternate) {
  bool upper_case = type >= 'A' && type <= 'Z';
  if (!std::isfinite(magnitude)) {
    std::string name = std::isnan(magnitude) ? "nan" : "inf";
    return upper_case ? to_upper(name) : name;
  }
  if (precision > kMaxPrecision) throw Error(Code::kUnsupported, "more than 1000 digits behind the point");
  std::string format = std::string("%") + (alternate ? "#" : "") + ".*" + type;
  char buffer[1500];
  int length = std::snprintf(buffer, sizeof buffer, format.c_str(), precision, magnitude);
  return std::string(buffer, static_cast<size_t>(length));
}

std::string lay_out(std::string_view sign, std::string_view body, const FieldLayout& layout, Budget& budget) {
  size_t length = sign.size() + code_point_count(body);
  size_t padding = layout.width > length ? layout.width - length : 0;
  std::string unit;
  append_code_point(unit, layout.fill);
  budget.charge_text(padding * unit.size() + body.size());
  auto pad = [&](size_t count) {
    std::string run;
    for (size_t i = 0; i < count; ++i) run += unit;
    return run;
  };
  std::string text(sign);
  switch (layout.align) {
    case '=': return text + pad(padding) + std::string(body);
    case '<': return text + std::string(body) + pad(padding);
    case '^': return pad(padding / 2) + text + std::string(body) + pad(padding - padding / 2);
    default: return pad(padding) + text + std::string(body);
  }
}

std::string format_value(const PyValue& value, std::string_view spec_text, Budget& budget) {
  if (spec_text.empty()) return py_str(value, budget);
  if (!value.is_string() && !value.is_number()) {
    raise_error(fmt::format("unsupported format string passed to {}.__format__", value.type_name()));
  }
  Spec spec = parse_spec(spec_text);
  if (value.is_string()) return format_text(value, spec, budget);
  bool as_float =
      value.is(PyValue::Kind::kFloat) || std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  if (as_float && spec.type != 0) return format_float(value, spec, budget);
  if (value.is(PyValue::Kind::kFloat)) return format_float(value, spec, budget);
  return format_integer(value, spec, budget);
}

}  // namespace hearth::text::jinja
