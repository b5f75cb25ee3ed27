#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "text/template/code_points.h"
#include "text/template/filters.h"
#include "text/template/parameters.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"
#include "text/template/text_ops.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;

PyValue filter_first(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("first", args, {});
  constexpr const char* kEmpty = "No first item, sequence was empty.";
  if (value.is(Kind::kIterator)) {
    IteratorBox& box = value.iterator();
    return box.next < box.items.size() ? box.items[box.next++] : PyValue::undefined(kEmpty);
  }
  if (auto item = item_at(value, 0)) return *item;
  Items items = iterate(value, interpreter.budget());
  return items.empty() ? PyValue::undefined(kEmpty) : items.front();
}

PyValue filter_last(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("last", args, {});
  if (auto item = item_at(value, -1)) return *item;
  if (value.is(Kind::kIterator)) raise_error("'generator' object is not reversible");
  Items items = iterate(value, interpreter.budget());
  return items.empty() ? PyValue::undefined("No last item, sequence was empty.") : items.back();
}

PyValue filter_length(Interpreter&, const PyValue& value, const Args& args) {
  Parameters("length", args, {});
  return PyValue::integer(checked_length(value));
}

PyValue filter_list(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("list", args, {});
  return PyValue::list(iterate(value, interpreter.budget()));
}

PyValue filter_items(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("items", args, {});
  if (value.is_undefined()) return PyValue::iterator({});
  if (!value.is_dict()) raise_error("Can only get item pairs from a mapping.");
  return PyValue::iterator(iterate(PyValue::view(value.dict(), ViewBox::Part::kItems), interpreter.budget()));
}

PyValue filter_reverse(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("reverse", args, {});
  if (value.is_string()) {
    SliceBounds backwards;
    backwards.step = -1;
    return slice_of(value, backwards, interpreter.budget());
  }
  if (!is_iterable(value)) raise_error("argument must be iterable");
  Items items = iterate(value, interpreter.budget());
  std::reverse(items.begin(), items.end());
  return value.is(Kind::kIterator) ? PyValue::list(std::move(items)) : PyValue::iterator(std::move(items));
}

PyValue filter_join(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("join", args, {"d", "attribute"});
  Budget& budget = interpreter.budget();
  std::string separator = given.has(0) ? py_str(given.at(0), budget) : "";
  std::string joined;
  bool first = true;
  for (const PyValue& item : iterate(value, budget)) {
    if (!first) joined += separator;
    first = false;
    joined += py_str(given.given_and_not_none(1) ? attribute_path(interpreter, item, given.at(1)) : item, budget);
    if (joined.size() > budget.limits().max_output) budget.charge_text(joined.size());
  }
  budget.charge_text(joined.size());
  return PyValue::string(std::move(joined));
}

/// Items with the key they sort by; the order stays stable both ways, as in Python.
struct Keyed {
  PyValue key, item;
};

void sort_keyed(std::vector<Keyed>& entries, bool reverse, Budget& budget) {
  std::stable_sort(entries.begin(), entries.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? py_less(b.key, a.key, budget) : py_less(a.key, b.key, budget);
  });
}

Items items_of(std::vector<Keyed> entries) {
  Items items;
  items.reserve(entries.size());
  for (Keyed& entry : entries) items.push_back(std::move(entry.item));
  return items;
}

PyValue folded(const PyValue& value, bool case_sensitive) { return case_sensitive ? value : ignore_case(value); }

/// The values of "a,b.c" of an item, as a list to compare by.
PyValue sort_key(Interpreter& interpreter, const PyValue& item, const PyValue& attribute, bool case_sensitive) {
  if (!attribute.is_string()) {
    return PyValue::list({folded(attribute_path(interpreter, item, attribute), case_sensitive)});
  }
  Items key;
  for (std::string_view name : split_at(attribute.bytes(), ",", -1, false)) {
    PyValue path = PyValue::string(std::string(name));
    key.push_back(folded(attribute_path(interpreter, item, path), case_sensitive));
  }
  return PyValue::list(std::move(key));
}

PyValue filter_sort(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("sort", args, {"reverse", "case_sensitive", "attribute"});
  PyValue attribute = given.has(2) ? given.at(2) : PyValue();
  std::vector<Keyed> entries;
  for (PyValue& item : iterate(value, interpreter.budget())) {
    PyValue key = sort_key(interpreter, item, attribute, given.flag(1, false));
    entries.push_back({std::move(key), std::move(item)});
  }
  sort_keyed(entries, given.flag(0, false), interpreter.budget());
  return PyValue::list(items_of(std::move(entries)));
}

PyValue filter_dictsort(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("dictsort", args, {"case_sensitive", "by", "reverse"});
  std::string by = given.has(1) ? given.text(1) : "key";
  if (by != "key" && by != "value") raise_error("You can only sort by either \"key\" or \"value\"");
  require_defined(value);
  if (!value.is_dict()) raise_error(fmt::format("'{}' object has no attribute 'items'", value.type_name()));
  interpreter.budget().charge_items(value.dict()->members.size());
  std::vector<Keyed> entries;
  for (const auto& [key, member] : value.dict()->members) {
    entries.push_back({folded(by == "key" ? key : member, given.flag(0, false)), PyValue::tuple({key, member})});
  }
  sort_keyed(entries, given.flag(2, false), interpreter.budget());
  return PyValue::list(items_of(std::move(entries)));
}

PyValue filter_groupby(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  Budget& budget = interpreter.budget();
  const PyValue* standard = given.has(1) ? &given.at(1) : nullptr;
  bool case_sensitive = given.flag(2, false);
  auto key_of = [&](const PyValue& item) { return attribute_path(interpreter, item, given.at(0), standard); };
  std::vector<Keyed> entries;
  for (PyValue& item : iterate(value, budget)) {
    PyValue key = folded(key_of(item), case_sensitive);
    entries.push_back({std::move(key), std::move(item)});
  }
  sort_keyed(entries, false, budget);
  Items groups;
  for (size_t begin = 0; begin < entries.size();) {
    size_t end = begin;
    Items members;
    while (end < entries.size() && py_equal(entries[end].key, entries[begin].key, budget)) {
      members.push_back(entries[end++].item);
    }
    if (end == begin) ++end;  // a key that does not equal itself, such as nan
    PyValue shown = key_of(entries[begin].item);
    groups.push_back(PyValue::tuple({std::move(shown), PyValue::list(std::move(members))}, true));
    begin = end;
  }
  return PyValue::list(std::move(groups));
}

PyValue filter_unique(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("unique", args, {"case_sensitive", "attribute"});
  PyValue attribute = given.has(1) ? given.at(1) : PyValue();
  DictBox seen;
  Items kept;
  for (PyValue& item : iterate(value, interpreter.budget())) {
    PyValue key = folded(attribute_path(interpreter, item, attribute), given.flag(0, false));
    if (seen.find(key, interpreter.budget())) continue;
    seen.set(std::move(key), PyValue(), interpreter.budget());
    kept.push_back(std::move(item));
  }
  return PyValue::iterator(std::move(kept));
}

template <bool largest>
PyValue filter_extreme(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("min", args, {"case_sensitive", "attribute"});
  PyValue attribute = given.has(1) ? given.at(1) : PyValue();
  Budget& budget = interpreter.budget();
  std::optional<Keyed> best;
  for (PyValue& item : iterate(value, budget)) {
    Keyed entry{folded(attribute_path(interpreter, item, attribute), given.flag(0, false)), item};
    bool better =
        !best || (largest ? py_less(best->key, entry.key, budget, ">") : py_less(entry.key, best->key, budget));
    if (better) best = std::move(entry);
  }
  return best ? best->item : PyValue::undefined("No aggregated item, sequence was empty.");
}

PyValue filter_sum(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("sum", args, {"attribute", "start"});
  PyValue total = given.has(1) ? given.at(1) : PyValue::integer(0);
  if (total.is_string()) raise_error("sum() can't sum strings [use ''.join(seq) instead]");
  for (const PyValue& item : iterate(value, interpreter.budget())) {
    PyValue term = given.given_and_not_none(0) ? attribute_path(interpreter, item, given.at(0)) : item;
    total = py_add(total, term, interpreter.budget());
  }
  return total;
}

PyValue filter_batch(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("batch", args, {"linecount", "fill_with"}, 1);
  Int line_count = given.integer(0, 1);
  Items batches, batch;
  for (PyValue& item : iterate(value, interpreter.budget())) {
    if (static_cast<Int>(batch.size()) == line_count) batches.push_back(PyValue::list(std::exchange(batch, {})));
    batch.push_back(std::move(item));
  }
  if (!batch.empty()) {
    Int missing = line_count - static_cast<Int>(batch.size());
    if (given.given_and_not_none(1) && missing > 0) {
      interpreter.budget().charge_items(static_cast<size_t>(std::min<Int>(missing, INT64_MAX)));
      batch.insert(batch.end(), static_cast<size_t>(missing), given.at(1));
    }
    batches.push_back(PyValue::list(std::move(batch)));
  }
  return PyValue::iterator(std::move(batches));
}

PyValue filter_slice(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("slice", args, {"slices", "fill_with"}, 1);
  Items items = iterate(value, interpreter.budget());
  Int slices = given.integer(0, 1);
  if (slices == 0) raise_error("integer division or modulo by zero");
  Items columns;
  if (slices < 0) return PyValue::iterator({});
  interpreter.budget().charge_items(static_cast<size_t>(std::min<Int>(slices, INT64_MAX)));
  size_t per_slice = items.size() / static_cast<size_t>(slices);
  size_t with_extra = items.size() % static_cast<size_t>(slices);
  size_t begin = 0;
  for (size_t i = 0; i < static_cast<size_t>(slices); ++i) {
    size_t end = begin + per_slice + (i < with_extra ? 1 : 0);
    Items column(items.begin() + static_cast<ptrdiff_t>(begin), items.begin() + static_cast<ptrdiff_t>(end));
    if (given.given_and_not_none(1) && i >= with_extra) column.push_back(given.at(1));
    columns.push_back(PyValue::list(std::move(column)));
    begin = end;
  }
  return PyValue::iterator(std::move(columns));
}

constexpr auto kFilters = std::to_array<NamedFilter>({
    {"first", filter_first}, {"last", filter_last}, {"length", filter_length}, {"count", filter_length},
    {"list", filter_list}, {"items", filter_items}, {"reverse", filter_reverse}, {"join", filter_join},
    {"sort", filter_sort}, {"dictsort", filter_dictsort}, {"groupby", filter_groupby}, {"unique", filter_unique},
    {"min", filter_extreme<false>}, {"max", filter_extreme<true>}, {"sum", filter_sum}, {"batch", filter_batch},
    {"slice", filter_slice},
});

}  // namespace

std::span<const NamedFilter> sequence_filters() { return kFilters; }

}  // namespace hearth::text::jinja
