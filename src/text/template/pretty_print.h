// pprint.pformat: a value over several lines where one of 80 columns is too short, dicts in the order of their keys.
#pragma once
#include <string>

#include "text/template/budget.h"
#include "text/template/py_value.h"

namespace hearth::text::jinja {

std::string pretty_print(const PyValue& value, Budget& budget);

}  // namespace hearth::text::jinja
