#include <algorithm>

#include <fmt/format.h>

#include "text/template/code_points.h"
#include "text/template/py_ops.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;

struct Stride {  // a resolved slice: count items from start, step apart
  Int start = 0, stop = 0, step = 1, count = 0;
};

Int clamp_bound(std::optional<Int> bound, Int missing, Int length, Int lowest, Int highest) {
  if (!bound) return missing;
  Int value = *bound < 0 ? *bound + length : *bound;
  return std::clamp(value, lowest, highest);
}

Stride resolve(const SliceBounds& bounds, Int length) {
  Stride stride;
  constexpr Int kFurthest = Int(1) << 62;  // any larger step also leaves the sequence at once
  stride.step = std::clamp(bounds.step.value_or(1), -kFurthest, kFurthest);
  if (stride.step == 0) raise_error("slice step cannot be zero");
  bool forward = stride.step > 0;
  Int lowest = forward ? 0 : -1;
  Int highest = forward ? length : length - 1;
  stride.start = clamp_bound(bounds.start, forward ? 0 : length - 1, length, lowest, highest);
  stride.stop = clamp_bound(bounds.stop, forward ? length : -1, length, lowest, highest);
  stride.count = RangeBox{stride.start, stride.stop, stride.step}.size();
  return stride;
}

PyValue slice_text(const PyValue& value, const Stride& stride, Budget& budget) {
  budget.charge_text(value.bytes().size());
  if (stride.step == 1) return substring(value, stride.start, stride.start + stride.count);
  std::vector<std::string_view> characters = split_code_points(value.bytes());
  std::string picked;
  for (Int i = 0; i < stride.count; ++i) picked += characters[static_cast<size_t>(stride.start + i * stride.step)];
  return PyValue::string(std::move(picked), value.is_markup());
}

}  // namespace

std::optional<Int> py_length(const PyValue& value) {
  switch (value.kind()) {
    case Kind::kUndefined: return 0;
    case Kind::kString: return static_cast<Int>(value.text().n_code_points);
    case Kind::kList:
    case Kind::kTuple: return static_cast<Int>(value.items().size());
    case Kind::kDict: return static_cast<Int>(value.dict()->members.size());
    case Kind::kView: return static_cast<Int>(value.view().dict->members.size());
    case Kind::kRange: return value.range().size();
    default: return std::nullopt;
  }
}

Int checked_length(const PyValue& value) {
  if (auto length = py_length(value)) return *length;
  raise_error(fmt::format("object of type '{}' has no len()", value.type_name()));
}

bool is_iterable(const PyValue& value) { return py_length(value).has_value() || value.is(Kind::kIterator); }

Items iterate(const PyValue& value, Budget& budget) {
  if (value.is(Kind::kIterator)) {
    IteratorBox& box = value.iterator();
    Items rest(box.items.begin() + static_cast<ptrdiff_t>(box.next), box.items.end());
    box.next = box.items.size();
    budget.charge_items(rest.size());
    return rest;
  }
  auto length = py_length(value);
  if (!length) raise_error(fmt::format("'{}' object is not iterable", value.type_name()));
  budget.charge_items(static_cast<size_t>(*length));
  Items items;
  items.reserve(static_cast<size_t>(*length));
  switch (value.kind()) {
    case Kind::kString:
      for (std::string_view character : split_code_points(value.bytes())) {
        items.push_back(PyValue::string(std::string(character), value.is_markup()));
      }
      break;
    case Kind::kList:
    case Kind::kTuple: return value.items();
    case Kind::kDict:
      for (const auto& member : value.dict()->members) items.push_back(member.first);
      break;
    case Kind::kView:
      for (const auto& [key, member] : value.view().dict->members) {
        switch (value.view().part) {
          case ViewBox::Part::kKeys: items.push_back(key); break;
          case ViewBox::Part::kValues: items.push_back(member); break;
          case ViewBox::Part::kItems: items.push_back(PyValue::tuple({key, member})); break;
        }
      }
      break;
    case Kind::kRange:
      for (Int i = 0; i < *length; ++i) items.push_back(PyValue::integer(value.range().start + i * value.range().step));
      break;
    default: break;
  }
  return items;
}

std::optional<PyValue> item_at(const PyValue& sequence, Int index) {
  bool indexable = sequence.is_string() || sequence.is(Kind::kList) || sequence.is(Kind::kTuple) ||
                   sequence.is(Kind::kRange);
  if (!indexable) return std::nullopt;
  Int length = *py_length(sequence);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return std::nullopt;
  if (sequence.is_string()) return substring(sequence, index, index + 1);
  if (sequence.is(Kind::kRange)) return PyValue::integer(sequence.range().start + index * sequence.range().step);
  return sequence.items()[static_cast<size_t>(index)];
}

PyValue slice_of(const PyValue& sequence, const SliceBounds& bounds, Budget& budget) {
  Stride stride = resolve(bounds, checked_length(sequence));
  if (sequence.is_string()) return slice_text(sequence, stride, budget);
  if (sequence.is(Kind::kRange)) {
    const RangeBox& range = sequence.range();
    Int start = range.start + stride.start * range.step;
    return PyValue::range({start, range.start + stride.stop * range.step, range.step * stride.step});
  }
  budget.charge_items(static_cast<size_t>(stride.count));
  Items picked;
  for (Int i = 0; i < stride.count; ++i) {
    picked.push_back(sequence.items()[static_cast<size_t>(stride.start + i * stride.step)]);
  }
  return sequence.is(Kind::kList) ? PyValue::list(std::move(picked)) : PyValue::tuple(std::move(picked));
}

PyValue substring(const PyValue& text, Int start, Int stop) {
  const TextBox& box = text.text();
  if (stop < start) stop = start;
  if (start == 0 && stop == static_cast<Int>(box.n_code_points)) return text;
  size_t first = static_cast<size_t>(start), last = static_cast<size_t>(stop);
  if (box.n_code_points != box.bytes.size()) {
    first = byte_offset(box.bytes, 0, static_cast<size_t>(start));
    last = byte_offset(box.bytes, first, static_cast<size_t>(stop - start));
  }
  return PyValue::string(box.bytes.substr(first, last - first), box.markup);
}

PyValue repeat_text(const PyValue& text, Int count, Budget& budget) {
  const std::string& unit = text.bytes();
  if (unit.empty() || count <= 0) return PyValue::string("", text.is_markup());
  Int total = count > INT64_MAX ? Int(INT64_MAX) : count * static_cast<Int>(unit.size());
  budget.charge_text(static_cast<size_t>(std::min<Int>(total, INT64_MAX)));
  std::string repeated;
  repeated.reserve(static_cast<size_t>(total));
  for (Int i = 0; i < count; ++i) repeated += unit;
  return PyValue::string(std::move(repeated), text.is_markup());
}

Int integer_argument(const PyValue& value, std::string_view what) {
  require_defined(value);
  if (!value.is_integral()) {
    raise_error(fmt::format("{} wants an integer, got '{}'", what, value.type_name()));
  }
  return value.as_int();
}

}  // namespace hearth::text::jinja
