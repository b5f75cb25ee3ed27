// The filters of jinja2, with the tojson that transformers puts in its place. One table; a file per family.
#pragma once
#include <span>
#include <string_view>
#include <utility>

#include "text/template/interpreter.h"

namespace hearth::text::jinja {

using Filter = PyValue (*)(Interpreter&, const PyValue& value, const Args& args);
using NamedFilter = std::pair<std::string_view, Filter>;

/// nullptr when there is none of this name.
Filter find_filter(std::string_view name);

std::span<const NamedFilter> text_filters();       // upper, replace, indent, truncate, ...
std::span<const NamedFilter> sequence_filters();   // first, join, sort, batch, groupby, ...
std::span<const NamedFilter> selecting_filters();  // map, select, rejectattr, ...
std::span<const NamedFilter> value_filters();      // int, round, default, tojson, escape, ...

/// item.a.b.0 for attribute "a.b.0"; `standard` replaces an undefined step.
PyValue attribute_path(Interpreter& interpreter, const PyValue& item, const PyValue& attribute,
                       const PyValue* standard = nullptr);

/// Strings in lower case, everything else as it is: how jinja2 compares when case does not matter.
PyValue ignore_case(const PyValue& value);

}  // namespace hearth::text::jinja
