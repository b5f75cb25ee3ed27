#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "text/template/methods.h"
#include "text/template/parameters.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;
using NamedMethod = std::pair<std::string_view, Method>;

template <ViewBox::Part part>
PyValue dict_view(Interpreter&, const PyValue& self, const Args& args) {
  Parameters("keys", args, {});
  return PyValue::view(self.dict(), part);
}

PyValue dict_get(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("get", args, {"key", "default"}, 1);
  if (const PyValue* found = self.dict()->find(given.at(0), interpreter.budget())) return *found;
  return given.has(1) ? given.at(1) : PyValue();
}

PyValue copy(Interpreter&, const PyValue& self, const Args& args) {
  Parameters("copy", args, {});
  return self;  // values never change, so the copy is the value
}

PyValue sequence_index(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("index", args, {"value", "start", "stop"}, 1);
  Items items = iterate(self, interpreter.budget());
  Int length = static_cast<Int>(items.size());
  auto bound = [&](size_t i, Int standard) {
    Int value = given.integer(i, standard);
    return std::clamp<Int>(value < 0 ? value + length : value, 0, length);
  };
  for (Int i = bound(1, 0); i < bound(2, length); ++i) {
    if (py_equal(items[static_cast<size_t>(i)], given.at(0), interpreter.budget())) return PyValue::integer(i);
  }
  raise_error(fmt::format("{} is not in list", py_repr(given.at(0), interpreter.budget())));
}

PyValue sequence_count(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("count", args, {"value"}, 1);
  Int count = 0;
  for (const PyValue& item : iterate(self, interpreter.budget())) {
    if (py_equal(item, given.at(0), interpreter.budget())) ++count;
  }
  return PyValue::integer(count);
}

constexpr auto kDictMethods = std::to_array<NamedMethod>({{"keys", dict_view<ViewBox::Part::kKeys>},
                                                          {"values", dict_view<ViewBox::Part::kValues>},
                                                          {"items", dict_view<ViewBox::Part::kItems>},
                                                          {"get", dict_get},
                                                          {"copy", copy}});

constexpr auto kSequenceMethods = std::to_array<NamedMethod>({{"index", sequence_index}, {"count", sequence_count}});

constexpr auto kDictChanges = std::to_array<std::string_view>({"clear", "pop", "popitem", "setdefault", "update"});
constexpr auto kListChanges = std::to_array<std::string_view>(
    {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"});

template <class Table>
Method find(const Table& table, std::string_view name) {
  for (const auto& [held, method] : table) {
    if (held == name) return method;
  }
  return nullptr;
}

template <class Names>
bool holds(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Method find_dict_method(std::string_view name) { return find(kDictMethods, name); }
Method find_sequence_method(std::string_view name) { return find(kSequenceMethods, name); }

bool changes_value(const PyValue& value, std::string_view name) {
  if (value.is_dict()) return holds(kDictChanges, name);
  return value.is(Kind::kList) && holds(kListChanges, name);
}

}  // namespace hearth::text::jinja
