#include "core/base/value.h"

#include <cmath>

#include <fmt/format.h>

namespace hearth {
namespace {

[[noreturn]] void wrong_kind(std::string_view wanted, const Value& got) {
  throw Error(Code::kInvalidArgument, fmt::format("expected {}, got {}", wanted, got.kind_name()));
}

}  // namespace

Value::Value(uint64_t value) {
  if (value <= static_cast<uint64_t>(INT64_MAX)) {
    data_ = static_cast<int64_t>(value);
  } else {
    data_ = value;
  }
}

std::string_view Value::kind_name() const {
  switch (kind()) {
    case Kind::kNull: return "null";
    case Kind::kBool: return "boolean";
    case Kind::kInt:
    case Kind::kUint: return "integer";
    case Kind::kDouble: return "number";
    case Kind::kString: return "string";
    case Kind::kList: return "array";
    case Kind::kObject: return "object";
  }
  return "unknown";
}

bool Value::as_bool() const {
  if (const bool* held = std::get_if<bool>(&data_)) return *held;
  wrong_kind("boolean", *this);
}

int64_t Value::as_int() const {
  if (const int64_t* held = std::get_if<int64_t>(&data_)) return *held;
  if (const double* held = std::get_if<double>(&data_)) {
    if (*held == std::trunc(*held) && std::abs(*held) < 9.2e18) return static_cast<int64_t>(*held);
  }
  wrong_kind("integer", *this);
}

uint64_t Value::as_uint() const {
  if (const uint64_t* held = std::get_if<uint64_t>(&data_)) return *held;
  int64_t value = as_int();
  if (value < 0) throw Error(Code::kInvalidArgument, fmt::format("expected a non-negative integer, got {}", value));
  return static_cast<uint64_t>(value);
}

double Value::as_double() const {
  if (const double* held = std::get_if<double>(&data_)) return *held;
  if (const int64_t* held = std::get_if<int64_t>(&data_)) return static_cast<double>(*held);
  if (const uint64_t* held = std::get_if<uint64_t>(&data_)) return static_cast<double>(*held);
  wrong_kind("number", *this);
}

const std::string& Value::as_string() const {
  if (const auto* held = std::get_if<std::string>(&data_)) return *held;
  wrong_kind("string", *this);
}

const Value::List& Value::as_list() const {
  if (const auto* held = std::get_if<List>(&data_)) return *held;
  if (const PackedList* list = packed()) return list->unpacked();
  wrong_kind("array", *this);
}

Value::List& Value::as_list() {
  if (const PackedList* list = packed()) data_ = List(list->unpacked());
  if (auto* held = std::get_if<List>(&data_)) return *held;
  wrong_kind("array", *this);
}

const Value::Object& Value::as_object() const {
  if (const auto* held = std::get_if<Object>(&data_)) return *held;
  wrong_kind("object", *this);
}

Value::Object& Value::as_object() {
  if (auto* held = std::get_if<Object>(&data_)) return *held;
  wrong_kind("object", *this);
}

const Value* Value::find(std::string_view key) const {
  const auto* members = std::get_if<Object>(&data_);
  return members ? members->find(key) : nullptr;
}

Value* Value::find(std::string_view key) { return const_cast<Value*>(std::as_const(*this).find(key)); }

const Value& Value::at(std::string_view key) const {
  const Value* found = find(key);
  if (!found) throw Error(Code::kNotFound, fmt::format("'{}' is missing", key));
  return *found;
}

Value& Value::set(std::string_view key, Value value) {
  if (is_null()) data_ = Object{};
  return as_object().set(key, std::move(value));
}

Value& Value::push(Value value) {
  if (is_null()) data_ = List{};
  return as_list().emplace_back(std::move(value));
}

size_t Value::size() const {
  if (const PackedList* list = packed()) return list->size();
  if (is_list()) return as_list().size();
  if (is_object()) return as_object().size();
  return 0;
}

bool operator==(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number() && a.kind() != b.kind()) return a.as_double() == b.as_double();
  if ((a.packed() || b.packed()) && a.is_list() && b.is_list()) {
    return a.size() == b.size() && a.as_list() == b.as_list();
  }
  return a.data_ == b.data_;
}

}  // namespace hearth
