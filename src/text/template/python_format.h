// Python's ways of writing a value as text: str(), repr(), "%d" % x, "{:>8}".format(x), strftime.
#pragma once
#include <ctime>
#include <string>
#include <string_view>

#include "text/template/budget.h"
#include "text/template/py_value.h"

namespace hearth::text::jinja {

/// str(value): what {{ value }} prints.
std::string py_str(const PyValue& value, Budget& budget);

/// repr(value): what a list prints of its items.
std::string py_repr(const PyValue& value, Budget& budget);

/// Shortest text that reads back as the same double: "0.1", "1.0", "1e+16", "inf", "nan".
std::string float_repr(double value);
std::string int_text(Int value);

/// format % arguments. Markup escapes the arguments and stays Markup.
PyValue percent_format(const PyValue& format, const PyValue& arguments, Budget& budget);

/// "{:spec}" for one value.
std::string format_value(const PyValue& value, std::string_view spec, Budget& budget);

/// str.format. Attribute and item access go through the interpreter's sandbox.
PyValue brace_format(const PyValue& format, const Args& args, Interpreter& interpreter);

/// strftime in local time, English names.
std::string format_time(const std::string& format, std::time_t now, Budget& budget);

/// Layout of one number or text within a width; used by '%' and format().
struct FieldLayout {
  size_t width = 0;
  char32_t fill = U' ';
  char align = '>';     // '<' '>' '^', '=' pads between sign and digits
};
std::string lay_out(std::string_view sign, std::string_view body, const FieldLayout& layout, Budget& budget);

/// Digits of a double in Python's e, f, g (and E, F, G) notation; `alternate` keeps the point and trailing zeros.
std::string float_digits(double magnitude, char type, int precision, bool alternate);

/// Digits of a non-negative integer in base 2, 8, 10 or 16.
std::string int_digits(Int magnitude, int base, bool upper_case);

}  // namespace hearth::text::jinja
