// Value: one ordered JSON-like tree (null, bool, int64, uint64, double, string, list, object in insertion order).
// GGUF metadata, tokenizer files, template context, tool arguments, schemas and node literals are Values; text and
// Values meet in formats/json. A non-negative integer that fits int64 is kept as int64; uint64 holds the rest, so a
// seed of 2^64-1 survives. A list may be packed (core/base/packed_list.h); it reads as any other list. Not thread-safe
// for writing; freely shared for reading.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/packed_list.h"
#include "core/base/result.h"
#include "core/base/value_object.h"

namespace hearth {

class Value {
 public:
  using List = std::vector<Value>;
  using Object = ValueObject;  // insertion order, each name once
  using Member = Object::Member;
  enum class Kind { kNull, kBool, kInt, kUint, kDouble, kString, kList, kObject };

  Value() = default;
  Value(std::nullptr_t) {}                                                   // NOLINT: implicit on purpose
  Value(bool value) : data_(value) {}                                        // NOLINT
  Value(int value) : data_(static_cast<int64_t>(value)) {}                   // NOLINT
  Value(int64_t value) : data_(value) {}                                     // NOLINT
  Value(uint32_t value) : data_(static_cast<int64_t>(value)) {}              // NOLINT
  Value(uint64_t value);                                                     // NOLINT
  Value(double value) : data_(value) {}                                      // NOLINT
  Value(const char* value) : data_(std::string(value)) {}                    // NOLINT
  Value(std::string value) : data_(std::move(value)) {}                      // NOLINT
  Value(std::string_view value) : data_(std::string(value)) {}               // NOLINT
  Value(List value) : data_(std::move(value)) {}                             // NOLINT
  Value(Object value) : data_(std::move(value)) {}                           // NOLINT

  explicit Value(std::shared_ptr<const PackedList> list) : data_(std::move(list)) {}

  static Value list() { return Value(List{}); }
  static Value object() { return Value(Object{}); }
  static Value object(std::initializer_list<Member> members) { return Value(Object(members)); }

  Kind kind() const { return packed() ? Kind::kList : static_cast<Kind>(data_.index()); }
  std::string_view kind_name() const;  // "null", "boolean", "integer", "number", "string", "array", "object"
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_bool() const { return kind() == Kind::kBool; }
  bool is_integer() const { return kind() == Kind::kInt || kind() == Kind::kUint; }
  bool is_number() const { return is_integer() || kind() == Kind::kDouble; }
  bool is_string() const { return kind() == Kind::kString; }
  bool is_list() const { return kind() == Kind::kList; }
  bool is_object() const { return kind() == Kind::kObject; }

  // Exact reads. The wrong kind throws Error{kInvalidArgument, "expected X, got Y"}.
  bool as_bool() const;
  int64_t as_int() const;     // integers that fit; a double with no fraction also counts
  uint64_t as_uint() const;   // likewise, non-negative
  double as_double() const;   // any number
  const std::string& as_string() const;
  const List& as_list() const;  // of a packed list this makes the Values, once
  List& as_list();              // a packed list stops being packed
  const Object& as_object() const;
  Object& as_object();

  /// The packed form of a list that has one, for reading it without making a Value of each item; else nullptr.
  const PackedList* packed() const {
    const auto* held = std::get_if<std::shared_ptr<const PackedList>>(&data_);
    return held ? held->get() : nullptr;
  }

  /// Member of an object, or nullptr when this is no object or has no such key. Constant time, as set() is.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
  /// Member that must exist; throws Error{kNotFound} naming the key.
  const Value& at(std::string_view key) const;
  /// Sets or replaces a member; a null Value becomes an object first.
  Value& set(std::string_view key, Value value);
  /// Appends to a list; a null Value becomes a list first.
  Value& push(Value value);
  /// Number of list items or members; 0 for every other kind.
  size_t size() const;

  friend bool operator==(const Value& a, const Value& b);

 private:
  // In the order of Kind; the packed list, never null, comes after them.
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, List, Object,
               std::shared_ptr<const PackedList>>
      data_;
};

}  // namespace hearth
