// Numbers as Python's int(), float() and round() understand them.
#pragma once
#include <optional>
#include <string_view>

#include "text/template/budget.h"
#include "text/template/py_value.h"

namespace hearth::text::jinja {

/// int(text, base): white space around it, a sign, single underscores, and 0x, 0o, 0b where the base allows them.
std::optional<Int> parse_int(std::string_view text, Int base);

/// float(text): also "inf", "infinity" and "nan".
std::optional<double> parse_float(std::string_view text);

/// round(value, precision): ties go to the even neighbour; an integer stays one.
PyValue round_half_even(const PyValue& value, Int precision, Budget& budget);

}  // namespace hearth::text::jinja
