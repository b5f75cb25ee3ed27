#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "text/template/py_ops.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;

bool equal_items(const Items& a, const Items& b, Budget& budget) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!a[i].is_same(b[i]) && !py_equal(a[i], b[i], budget)) return false;
  }
  return true;
}

bool equal_dicts(const DictBox& a, const DictBox& b, Budget& budget) {
  if (a.members.size() != b.members.size()) return false;
  for (const auto& [key, value] : a.members) {
    const PyValue* other = b.find(key, budget);
    if (!other || !(value.is_same(*other) || py_equal(value, *other, budget))) return false;
  }
  return true;
}

bool equal_ranges(const RangeBox& a, const RangeBox& b) {
  if (a.size() != b.size()) return false;
  if (a.size() == 0) return true;
  return a.start == b.start && (a.size() == 1 || a.step == b.step);
}

bool equal_numbers(const PyValue& a, const PyValue& b) {
  if (a.is_integral() && b.is_integral()) return a.as_int() == b.as_int();
  return a.as_double() == b.as_double();
}

/// Lexicographic order by `less`, as Python compares lists, tuples.
bool less_items(const Items& a, const Items& b, Budget& budget, std::string_view op, bool or_equal) {
  size_t common = std::min(a.size(), b.size());
  for (size_t i = 0; i < common; ++i) {
    if (a[i].is_same(b[i]) || py_equal(a[i], b[i], budget)) continue;
    return or_equal ? py_less_equal(a[i], b[i], budget, op) : py_less(a[i], b[i], budget, op);
  }
  return or_equal ? a.size() <= b.size() : a.size() < b.size();
}

bool compare(const PyValue& a, const PyValue& b, Budget& budget, std::string_view op, bool or_equal) {
  budget.charge();
  require_defined(a);
  require_defined(b);
  if (a.is_integral() && b.is_integral()) return or_equal ? a.as_int() <= b.as_int() : a.as_int() < b.as_int();
  if (a.is_number() && b.is_number()) {
    return or_equal ? a.as_double() <= b.as_double() : a.as_double() < b.as_double();
  }
  if (a.is_string() && b.is_string()) {  // UTF-8 sorts by bytes as by code points
    return or_equal ? a.bytes() <= b.bytes() : a.bytes() < b.bytes();
  }
  bool same_sequence = a.kind() == b.kind() && (a.is(Kind::kList) || a.is(Kind::kTuple));
  if (same_sequence) return less_items(a.items(), b.items(), budget, op, or_equal);
  raise_error(fmt::format("'{}' not supported between instances of '{}' and '{}'", op, a.type_name(), b.type_name()));
}

}  // namespace

void require_defined(const PyValue& value) {
  if (value.is_undefined()) raise_error(value.undefined_message());
}

bool py_equal(const PyValue& a, const PyValue& b, Budget& budget) {
  budget.charge();
  if (a.is_number() && b.is_number()) return equal_numbers(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone: return true;
    case Kind::kString: return a.bytes() == b.bytes();
    case Kind::kList:
    case Kind::kTuple: return equal_items(a.items(), b.items(), budget);
    case Kind::kDict: return equal_dicts(*a.dict(), *b.dict(), budget);
    case Kind::kView: {
      if (a.view().part != b.view().part) return false;
      if (a.view().part == ViewBox::Part::kItems) return equal_dicts(*a.view().dict, *b.view().dict, budget);
      return a.view().dict == b.view().dict;
    }
    case Kind::kRange: return equal_ranges(a.range(), b.range());
    default: return a.is_same(b);
  }
}

bool py_less(const PyValue& a, const PyValue& b, Budget& budget, std::string_view op) {
  return compare(a, b, budget, op, false);
}

bool py_less_equal(const PyValue& a, const PyValue& b, Budget& budget, std::string_view op) {
  return compare(a, b, budget, op, true);
}

bool py_contains(const PyValue& container, const PyValue& item, Budget& budget) {
  switch (container.kind()) {
    case Kind::kString:
      if (!item.is_string()) {
        raise_error(fmt::format("'in <string>' requires string as left operand, not {}", item.type_name()));
      }
      budget.charge_search(container.bytes().size(), item.bytes().size());
      return container.bytes().find(item.bytes()) != std::string::npos;
    case Kind::kDict: return container.dict()->find(item, budget) != nullptr;
    case Kind::kView:
      if (container.view().part == ViewBox::Part::kKeys) return container.view().dict->find(item, budget) != nullptr;
      break;
    default: break;
  }
  if (!is_iterable(container)) raise_error(fmt::format("argument of type '{}' is not iterable", container.type_name()));
  for (const PyValue& held : iterate(container, budget)) {
    if (held.is_same(item) || py_equal(held, item, budget)) return true;
  }
  return false;
}

size_t hash_text(std::string_view text) { return std::hash<std::string_view>{}(text); }

size_t py_hash(const PyValue& value, Budget& budget) {
  budget.charge();
  switch (value.kind()) {
    case Kind::kBool:
    case Kind::kInt: return std::hash<int64_t>{}(static_cast<int64_t>(value.as_int()));
    case Kind::kFloat: {
      double number = value.as_double();  // equal numbers hash alike
      if (number == std::trunc(number) && std::abs(number) < 9e18) {
        return std::hash<int64_t>{}(static_cast<int64_t>(number));
      }
      return std::hash<double>{}(number);
    }
    case Kind::kString: return hash_text(value.bytes());
    case Kind::kTuple: {
      size_t mixed = 0x9e3779b97f4a7c15;
      for (const PyValue& item : value.items()) mixed = mixed * 1000003 ^ py_hash(item, budget);
      return mixed;
    }
    case Kind::kList:
    case Kind::kDict: raise_error(fmt::format("unhashable type: '{}'", value.type_name()));
    default: return static_cast<size_t>(value.kind());
  }
}

}  // namespace hearth::text::jinja
