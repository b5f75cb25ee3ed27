#include "text/template/py_value.h"

#include <algorithm>

#include "text/template/py_ops.h"

namespace hearth::text::jinja {
namespace {

constexpr int kMaxDepth = 200;       // levels of list in list; freeing and printing recurse this far
constexpr size_t kIndexAbove = 8;    // members; a smaller dict is searched in order

int depth_of(const Items& items) {
  int deepest = 0;
  for (const PyValue& item : items) deepest = std::max(deepest, item.depth());
  return checked_depth(deepest + 1);
}

size_t count_code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

void raise_error(std::string message) { throw Error(Code::kInvalidArgument, std::move(message)); }

int checked_depth(int depth) {
  if (depth > kMaxDepth) throw Error(Code::kUnsupported, "the template nests values deeper than 200 levels");
  return depth;
}

TextBox::TextBox(std::string text, bool is_markup)
    : bytes(std::move(text)), n_code_points(count_code_points(bytes)), markup(is_markup) {}

template <class Same>
std::optional<size_t> DictBox::position(size_t hash, const Same& same) const {
  if (members.size() <= kIndexAbove) {
    for (size_t i = 0; i < members.size(); ++i) {
      if (same(members[i].first)) return i;
    }
    return std::nullopt;
  }
  auto [first, last] = index_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    if (same(members[it->second].first)) return it->second;
  }
  return std::nullopt;
}

void DictBox::append(size_t hash, PyValue key, PyValue value) {
  members.emplace_back(std::move(key), std::move(value));
  hashes_.push_back(hash);
  if (members.size() == kIndexAbove + 1) {
    for (size_t i = 0; i < members.size(); ++i) index_.emplace(hashes_[i], i);
  } else if (members.size() > kIndexAbove) {
    index_.emplace(hash, members.size() - 1);
  }
}

const PyValue* DictBox::find(const PyValue& key, Budget& budget) const {
  size_t hash = py_hash(key, budget);  // an unhashable key is an error even in a small dict
  auto found = position(hash, [&](const PyValue& held) { return py_equal(held, key, budget); });
  return found ? &members[*found].second : nullptr;
}

const PyValue* DictBox::find(std::string_view key) const {
  auto found = position(hash_text(key), [&](const PyValue& held) { return held.is_string() && held.bytes() == key; });
  return found ? &members[*found].second : nullptr;
}

void DictBox::set(PyValue key, PyValue value, Budget& budget) {
  size_t hash = py_hash(key, budget);
  if (auto found = position(hash, [&](const PyValue& held) { return py_equal(held, key, budget); })) {
    members[*found].second = std::move(value);
  } else {
    append(hash, std::move(key), std::move(value));
  }
}

void DictBox::set(std::string key, PyValue value) {
  size_t hash = hash_text(key);
  if (auto found = position(hash, [&](const PyValue& held) { return held.is_string() && held.bytes() == key; })) {
    members[*found].second = std::move(value);
  } else {
    append(hash, PyValue::string(std::move(key)), std::move(value));
  }
}

Int RangeBox::size() const {
  if (step > 0) return start < stop ? (stop - start + step - 1) / step : 0;
  return start > stop ? (start - stop - step - 1) / -step : 0;
}

std::string Object::repr() const { return "<" + std::string(type_name()) + " object>"; }

PyValue Object::call(Interpreter&, const Args&) {
  raise_error("'" + std::string(type_name()) + "' object is not callable");
}

PyValue PyValue::undefined(std::string message) {
  return PyValue(Data(std::in_place_index<0>, std::make_shared<const UndefinedBox>(UndefinedBox{std::move(message)})));
}

PyValue PyValue::string(std::string text, bool markup) {
  return PyValue(Data(std::in_place_index<5>, std::make_shared<const TextBox>(std::move(text), markup)));
}

PyValue PyValue::list(Items items) {
  auto box = std::make_shared<ListBox>();
  box->depth = depth_of(items);
  box->items = std::move(items);
  return PyValue(Data(std::in_place_index<6>, std::move(box)));
}

PyValue PyValue::tuple(Items items, bool is_group) {
  auto box = std::make_shared<TupleBox>();
  box->depth = depth_of(items);
  box->items = std::move(items);
  box->is_group = is_group;
  return PyValue(Data(std::in_place_index<7>, std::move(box)));
}

PyValue PyValue::dict(std::shared_ptr<DictBox> members) {
  int deepest = 0;
  for (const auto& [key, value] : members->members) deepest = std::max({deepest, key.depth(), value.depth()});
  members->depth = checked_depth(deepest + 1);
  return PyValue(Data(std::in_place_index<8>, std::move(members)));
}

PyValue PyValue::view(std::shared_ptr<const DictBox> dict, ViewBox::Part part) {
  auto box = std::make_shared<ViewBox>();
  box->depth = checked_depth(dict->depth + 1);
  box->dict = std::move(dict);
  box->part = part;
  return PyValue(Data(std::in_place_index<9>, std::move(box)));
}

PyValue PyValue::range(RangeBox range) {
  return PyValue(Data(std::in_place_index<10>, std::make_shared<const RangeBox>(range)));
}

PyValue PyValue::iterator(Items items) {
  auto box = std::make_shared<IteratorBox>();
  box->depth = depth_of(items);
  box->items = std::move(items);
  return PyValue(Data(std::in_place_index<11>, std::move(box)));
}

PyValue PyValue::object(std::shared_ptr<Object> object) {
  checked_depth(object->depth);
  return PyValue(Data(std::in_place_index<12>, std::move(object)));
}

PyValue PyValue::from(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNull: return PyValue();
    case Value::Kind::kBool: return boolean(value.as_bool());
    case Value::Kind::kInt: return integer(value.as_int());
    case Value::Kind::kUint: return integer(value.as_uint());
    case Value::Kind::kDouble: return number(value.as_double());
    case Value::Kind::kString: return string(value.as_string());
    case Value::Kind::kList: {
      Items items;
      items.reserve(value.size());
      for (const Value& item : value.as_list()) items.push_back(from(item));
      return list(std::move(items));
    }
    case Value::Kind::kObject: {
      auto box = std::make_shared<DictBox>();
      for (const auto& [key, member] : value.as_object()) box->set(key, from(member));
      return dict(std::move(box));
    }
  }
  return PyValue();
}

bool PyValue::truthy() const {
  switch (kind()) {
    case Kind::kUndefined:
    case Kind::kNone: return false;
    case Kind::kBool: return as_bool();
    case Kind::kInt: return as_int() != 0;
    case Kind::kFloat: return as_double() != 0;
    case Kind::kString: return !bytes().empty();
    case Kind::kList:
    case Kind::kTuple: return !items().empty();
    case Kind::kDict: return !dict()->members.empty();
    case Kind::kView: return !view().dict->members.empty();
    case Kind::kRange: return range().size() != 0;
    case Kind::kIterator:
    case Kind::kObject: return true;
  }
  return true;
}

std::string_view PyValue::type_name() const {
  switch (kind()) {
    case Kind::kUndefined: return "Undefined";
    case Kind::kNone: return "NoneType";
    case Kind::kBool: return "bool";
    case Kind::kInt: return "int";
    case Kind::kFloat: return "float";
    case Kind::kString: return text().markup ? "Markup" : "str";
    case Kind::kList: return "list";
    case Kind::kTuple: return "tuple";
    case Kind::kDict: return "dict";
    case Kind::kView:
      return view().part == ViewBox::Part::kKeys     ? "dict_keys"
             : view().part == ViewBox::Part::kValues ? "dict_values"
                                                     : "dict_items";
    case Kind::kRange: return "range";
    case Kind::kIterator: return "generator";
    case Kind::kObject: return object().type_name();
  }
  return "object";
}

int PyValue::depth() const {
  switch (kind()) {
    case Kind::kList: return std::get<6>(data_)->depth;
    case Kind::kTuple: return std::get<7>(data_)->depth;
    case Kind::kDict: return std::get<8>(data_)->depth;
    case Kind::kView: return std::get<9>(data_)->depth;
    case Kind::kIterator: return std::get<11>(data_)->depth;
    case Kind::kObject: return std::get<12>(data_)->depth;
    default: return 0;
  }
}

bool PyValue::is_same(const PyValue& other) const {
  if (kind() != other.kind()) return false;
  switch (kind()) {
    case Kind::kUndefined: return std::get<0>(data_) == std::get<0>(other.data_);
    case Kind::kString: return std::get<5>(data_) == std::get<5>(other.data_);
    case Kind::kList: return std::get<6>(data_) == std::get<6>(other.data_);
    case Kind::kTuple: return std::get<7>(data_) == std::get<7>(other.data_);
    case Kind::kDict: return std::get<8>(data_) == std::get<8>(other.data_);
    case Kind::kView: return std::get<9>(data_) == std::get<9>(other.data_);
    case Kind::kRange: return std::get<10>(data_) == std::get<10>(other.data_);
    case Kind::kIterator: return std::get<11>(data_) == std::get<11>(other.data_);
    case Kind::kObject: return std::get<12>(data_) == std::get<12>(other.data_);
    case Kind::kBool:
    case Kind::kInt: return as_int() == other.as_int();
    case Kind::kFloat: return as_double() == other.as_double();
    case Kind::kNone: return true;
  }
  return false;
}

}  // namespace hearth::text::jinja
