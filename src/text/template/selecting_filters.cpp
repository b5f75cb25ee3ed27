#include <array>

#include <fmt/format.h>

#include "text/template/filters.h"
#include "text/template/parameters.h"
#include "text/template/py_ops.h"

namespace hearth::text::jinja {
namespace {

std::string name_argument(const PyValue& value, std::string_view what) {
  if (!value.is_string()) raise_error(fmt::format("{} wants a name, got '{}'", what, value.type_name()));
  return value.bytes();
}

/// The arguments behind the first `n` positional ones.
Args behind(const Args& args, size_t n) {
  Args rest;
  rest.positional.assign(args.positional.begin() + static_cast<ptrdiff_t>(n), args.positional.end());
  rest.named = args.named;
  return rest;
}

PyValue map_attribute(Interpreter& interpreter, const PyValue& value, const Args& args) {
  const PyValue* attribute = nullptr;
  const PyValue* standard = nullptr;
  for (const auto& [name, argument] : args.named) {
    if (name == "attribute") {
      attribute = &argument;
    } else if (name == "default") {
      standard = &argument;
    } else {
      raise_error(fmt::format("Unexpected keyword argument '{}'", name));
    }
  }
  if (!attribute) raise_error("map requires a filter argument");
  Items mapped;
  for (const PyValue& item : iterate(value, interpreter.budget())) {
    mapped.push_back(attribute_path(interpreter, item, *attribute, standard));
  }
  return PyValue::iterator(std::move(mapped));
}

PyValue filter_map(Interpreter& interpreter, const PyValue& value, const Args& args) {
  if (!value.truthy()) return PyValue::iterator({});
  if (args.positional.empty()) return map_attribute(interpreter, value, args);
  std::string name = name_argument(args.positional[0], "map");
  Args rest = behind(args, 1);
  Items mapped;
  for (const PyValue& item : iterate(value, interpreter.budget())) {
    mapped.push_back(interpreter.call_filter(name, item, rest));
  }
  return PyValue::iterator(std::move(mapped));
}

template <bool keep, bool by_attribute>
PyValue filter_select(Interpreter& interpreter, const PyValue& value, const Args& args) {
  if (!value.truthy()) return PyValue::iterator({});
  constexpr size_t kTestAt = by_attribute ? 1 : 0;
  if (by_attribute && args.positional.empty()) raise_error("Missing parameter for attribute name");
  bool has_test = args.positional.size() > kTestAt;
  std::string test = has_test ? name_argument(args.positional[kTestAt], "select") : "";
  Args rest = has_test ? behind(args, kTestAt + 1) : Args{};
  Items selected;
  for (PyValue& item : iterate(value, interpreter.budget())) {
    PyValue judged = by_attribute ? attribute_path(interpreter, item, args.positional[0]) : item;
    bool passed = has_test ? interpreter.call_test(test, judged, rest) : judged.truthy();
    if (passed == keep) selected.push_back(std::move(item));
  }
  return PyValue::iterator(std::move(selected));
}

constexpr auto kFilters = std::to_array<NamedFilter>({
    {"map", filter_map}, {"select", filter_select<true, false>}, {"reject", filter_select<false, false>},
    {"selectattr", filter_select<true, true>}, {"rejectattr", filter_select<false, true>},
});

}  // namespace

std::span<const NamedFilter> selecting_filters() { return kFilters; }

}  // namespace hearth::text::jinja
