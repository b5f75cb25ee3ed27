#include "text/template/filters.h"

#include "text/template/code_points.h"
#include "text/template/py_ops.h"
#include "text/template/text_ops.h"

namespace hearth::text::jinja {
namespace {

/// One step of a path: digits are an index.
PyValue path_step(std::string_view step) {
  bool number = !step.empty() && step.size() < 18 && step.find_first_not_of("0123456789") == std::string_view::npos;
  return number ? PyValue::integer(std::stoll(std::string(step))) : PyValue::string(std::string(step));
}

}  // namespace

Filter find_filter(std::string_view name) {
  for (std::span<const NamedFilter> family :
       {text_filters(), sequence_filters(), selecting_filters(), value_filters()}) {
    for (const auto& [held, filter] : family) {
      if (held == name) return filter;
    }
  }
  return nullptr;
}

PyValue attribute_path(Interpreter& interpreter, const PyValue& item, const PyValue& attribute,
                       const PyValue* standard) {
  if (attribute.is_none()) return item;
  auto step = [&](const PyValue& from, const PyValue& key) {
    PyValue found = interpreter.get_item(from, key);
    return found.is_undefined() && standard && !standard->is_none() ? *standard : found;
  };
  if (!attribute.is_string()) return step(item, attribute);
  PyValue value = item;
  for (std::string_view part : split_at(attribute.bytes(), ".", -1, false)) value = step(value, path_step(part));
  return value;
}

PyValue ignore_case(const PyValue& value) {
  return value.is_string() ? PyValue::string(to_lower(value.bytes())) : value;
}

}  // namespace hearth::text::jinja
