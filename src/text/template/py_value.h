// PyValue: a value as a Jinja template sees it, with Python's types. Values are immutable and shared; what changes
// while a template runs (namespace, cycler, joiner, an iterator's position) is an Object or Iterator box.
// A box knows how deep it nests, so that no chain of values can grow until freeing it overflows the stack.
// Threads: constants inside a parsed template are shared by renderings; everything else belongs to one rendering.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/value.h"

namespace hearth::text::jinja {

class Budget;
class PyValue;
struct DictBox;
struct IteratorBox;
struct ListBox;
struct Object;
struct TupleBox;
class Interpreter;
using Int = __int128;  // Python's integers are unbounded; 128 bits hold every integer a chat carries
using Items = std::vector<PyValue>;

/// Throws Error{kInvalidArgument}: the template did something Python or jinja2 refuses.
[[noreturn]] void raise_error(std::string message);

struct Box {
  virtual ~Box() = default;
  int depth = 1;
};

struct TextBox {
  explicit TextBox(std::string text, bool is_markup = false);
  std::string bytes;       // UTF-8
  size_t n_code_points;
  bool markup;             // already HTML: joining it with a plain string escapes that string
};

struct UndefinedBox {
  std::string message;     // what using it raises
};

struct ViewBox : Box {     // dict.keys(), dict.values(), dict.items()
  enum class Part { kKeys, kValues, kItems };
  std::shared_ptr<const DictBox> dict;
  Part part = Part::kKeys;
};

struct RangeBox {
  Int start = 0, stop = 0, step = 1;
  Int size() const;
};

class PyValue {
 public:
  enum class Kind : uint8_t {
    kUndefined, kNone, kBool, kInt, kFloat, kString, kList, kTuple, kDict, kView, kRange, kIterator, kObject
  };

  PyValue() : data_(std::in_place_index<1>) {}  // None
  static PyValue undefined(std::string message);
  static PyValue boolean(bool value) { return PyValue(Data(std::in_place_index<2>, value)); }
  static PyValue integer(Int value) { return PyValue(Data(std::in_place_index<3>, value)); }
  static PyValue number(double value) { return PyValue(Data(std::in_place_index<4>, value)); }
  static PyValue string(std::string text, bool markup = false);
  static PyValue list(Items items);
  static PyValue tuple(Items items, bool is_group = false);
  static PyValue dict(std::shared_ptr<DictBox> members);  // measures the depth; the box must not change afterwards
  static PyValue view(std::shared_ptr<const DictBox> dict, ViewBox::Part part);
  static PyValue range(RangeBox range);
  static PyValue iterator(Items items);
  static PyValue object(std::shared_ptr<Object> object);
  static PyValue from(const Value& value);

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is(Kind kind) const { return this->kind() == kind; }
  bool is_undefined() const { return is(Kind::kUndefined); }
  bool is_none() const { return is(Kind::kNone); }
  bool is_string() const { return is(Kind::kString); }
  bool is_dict() const { return is(Kind::kDict); }
  bool is_integral() const { return is(Kind::kInt) || is(Kind::kBool); }  // a bool is an int in Python
  bool is_number() const { return is_integral() || is(Kind::kFloat); }
  bool is_markup() const { return is_string() && text().markup; }

  // Reads of a kind the caller has checked.
  const std::string& undefined_message() const { return std::get<0>(data_)->message; }
  bool as_bool() const { return std::get<2>(data_); }
  Int as_int() const { return is(Kind::kBool) ? Int(as_bool()) : std::get<3>(data_); }
  double as_double() const { return is(Kind::kFloat) ? std::get<4>(data_) : static_cast<double>(as_int()); }
  const TextBox& text() const { return *std::get<5>(data_); }
  const std::string& bytes() const { return text().bytes; }
  const Items& items() const;  // of a list or tuple
  const TupleBox& tuple_box() const { return *std::get<7>(data_); }
  const std::shared_ptr<const DictBox>& dict() const { return std::get<8>(data_); }
  const ViewBox& view() const { return *std::get<9>(data_); }
  const RangeBox& range() const { return *std::get<10>(data_); }
  IteratorBox& iterator() const { return *std::get<11>(data_); }
  Object& object() const { return *std::get<12>(data_); }

  bool truthy() const;
  std::string_view type_name() const;  // "str", "NoneType", "dict", ... as in Python's messages
  int depth() const;
  bool is_same(const PyValue& other) const;  // Python's `is`

 private:
  using Data = std::variant<std::shared_ptr<const UndefinedBox>, std::monostate, bool, Int, double,
                            std::shared_ptr<const TextBox>, std::shared_ptr<const ListBox>,
                            std::shared_ptr<const TupleBox>, std::shared_ptr<const DictBox>,
                            std::shared_ptr<const ViewBox>, std::shared_ptr<const RangeBox>,
                            std::shared_ptr<IteratorBox>, std::shared_ptr<Object>>;
  explicit PyValue(Data data) : data_(std::move(data)) {}
  Data data_;
};

struct ListBox : Box {
  Items items;
};

struct TupleBox : Box {
  Items items;
  bool is_group = false;   // a pair that groupby made: also has the names grouper and list
};

struct DictBox : Box {
  std::vector<std::pair<PyValue, PyValue>> members;  // insertion order
  const PyValue* find(const PyValue& key, Budget& budget) const;
  const PyValue* find(std::string_view key) const;
  void set(PyValue key, PyValue value, Budget& budget);
  void set(std::string key, PyValue value);

 private:
  std::unordered_multimap<size_t, size_t> index_;    // hash -> member, once there are more than a few
  std::vector<size_t> hashes_;                       // of each member
  template <class Same>
  std::optional<size_t> position(size_t hash, const Same& same) const;
  void append(size_t hash, PyValue key, PyValue value);
};

struct IteratorBox : Box { // a generator: read once, has no length
  Items items;
  size_t next = 0;
};

struct Args {
  Items positional;
  std::vector<std::pair<std::string, PyValue>> named;
};

inline const Items& PyValue::items() const {
  return is(Kind::kTuple) ? std::get<7>(data_)->items : std::get<6>(data_)->items;
}

/// Anything with attributes or a call of its own: namespace, macro, loop, cycler, joiner, function, bound method.
struct Object : Box {
  virtual std::string_view type_name() const = 0;
  virtual std::string repr() const;
  virtual std::optional<PyValue> attribute(Interpreter&, std::string_view) { return std::nullopt; }
  virtual bool is_callable() const { return false; }
  virtual PyValue call(Interpreter&, const Args&);
};

/// Throws when a value nests deeper than values may; returns depth otherwise.
int checked_depth(int depth);

}  // namespace hearth::text::jinja
