// Methods of Python's built-in types that a template may call. What would change a list or a dict is refused, as
// jinja2's immutable sandbox does.
#pragma once
#include <optional>
#include <string_view>

#include "text/template/objects.h"

namespace hearth::text::jinja {

Method find_string_method(std::string_view name);     // nullptr when there is none
Method find_sequence_method(std::string_view name);   // of list, tuple and range: index, count
Method find_dict_method(std::string_view name);       // keys, values, items, get, copy

/// Whether calling value.name would change the value.
bool changes_value(const PyValue& value, std::string_view name);

}  // namespace hearth::text::jinja
