// json.dumps as transformers' tojson filter calls it: Python's separators and number formats, no HTML escaping.
#pragma once
#include <optional>
#include <string>

#include "text/template/budget.h"
#include "text/template/py_value.h"

namespace hearth::text::jinja {

struct JsonStyle {
  bool ascii_only = false;
  std::optional<std::string> indent;          // one level's indentation; none = everything on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};

/// Throws Error{kInvalidArgument} for what JSON cannot say: undefined values, functions, keys that are no scalars.
std::string dump_json(const PyValue& value, const JsonStyle& style, Budget& budget);

}  // namespace hearth::text::jinja
