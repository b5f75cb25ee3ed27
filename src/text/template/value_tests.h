// The tests of jinja2: `x is defined`, `n is divisibleby 3`, `select('>', 2)`.
#pragma once
#include <string_view>

#include "text/template/interpreter.h"

namespace hearth::text::jinja {

using ValueTest = bool (*)(Interpreter&, const PyValue& value, const Args& args);

/// nullptr when there is none of this name.
ValueTest find_test(std::string_view name);

}  // namespace hearth::text::jinja
