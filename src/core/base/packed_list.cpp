#include "core/base/packed_list.h"

#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/base/value.h"

namespace hearth {
namespace {

template <class T>
T element(const std::string& bytes, size_t position) {
  T value;
  std::memcpy(&value, bytes.data() + position * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

size_t PackedList::width(Type type) {
  switch (type) {
    case Type::kBool:
    case Type::kInt8:
    case Type::kUint8: return 1;
    case Type::kInt16:
    case Type::kUint16: return 2;
    case Type::kInt32:
    case Type::kUint32:
    case Type::kFloat32: return 4;
    case Type::kInt64:
    case Type::kUint64:
    case Type::kFloat64: return 8;
    case Type::kText: return 0;
  }
  return 0;
}

std::shared_ptr<const PackedList> PackedList::of_numbers(Type type, std::string bytes) {
  check(type != Type::kText && bytes.size() % width(type) == 0, "packed numbers are whole elements");
  return std::make_shared<const PackedList>(type, std::move(bytes), std::vector<uint32_t>());
}

std::shared_ptr<const PackedList> PackedList::of_texts(std::string text, std::vector<uint32_t> ends) {
  check((ends.empty() ? 0 : ends.back()) == text.size(), "packed texts end where their bytes end");
  return std::make_shared<const PackedList>(Type::kText, std::move(text), std::move(ends));
}

PackedList::PackedList(Type type, std::string bytes, std::vector<uint32_t> ends)
    : type_(type),
      size_(type == Type::kText ? ends.size() : bytes.size() / width(type)),
      bytes_(std::move(bytes)),
      ends_(std::move(ends)) {}

PackedList::~PackedList() { delete unpacked_.load(); }

std::string_view PackedList::text(size_t position) const {
  check(type_ == Type::kText && position < size_, "no such packed text");
  size_t start = position == 0 ? 0 : ends_[position - 1];
  return std::string_view(bytes_).substr(start, ends_[position] - start);
}

Value PackedList::operator[](size_t i) const {
  check(i < size_, "no such packed element");
  switch (type_) {
    case Type::kBool: return Value(bytes_[i] != 0);
    case Type::kInt8: return Value(int64_t{element<int8_t>(bytes_, i)});
    case Type::kUint8: return Value(int64_t{element<uint8_t>(bytes_, i)});
    case Type::kInt16: return Value(int64_t{element<int16_t>(bytes_, i)});
    case Type::kUint16: return Value(int64_t{element<uint16_t>(bytes_, i)});
    case Type::kInt32: return Value(int64_t{element<int32_t>(bytes_, i)});
    case Type::kUint32: return Value(element<uint32_t>(bytes_, i));
    case Type::kInt64: return Value(element<int64_t>(bytes_, i));
    case Type::kUint64: return Value(element<uint64_t>(bytes_, i));
    case Type::kFloat32: return Value(double{element<float>(bytes_, i)});
    case Type::kFloat64: return Value(element<double>(bytes_, i));
    case Type::kText: return Value(text(i));
  }
  return Value();
}

const std::vector<Value>& PackedList::unpacked() const {
  if (const auto* made = unpacked_.load(std::memory_order_acquire)) return *made;
  auto items = std::make_unique<std::vector<Value>>();
  items->reserve(size_);
  for (size_t i = 0; i < size_; ++i) items->push_back((*this)[i]);
  const std::vector<Value>* first = nullptr;  // another thread's, when it was quicker
  if (unpacked_.compare_exchange_strong(first, items.get(), std::memory_order_acq_rel)) return *items.release();
  return *first;
}

}  // namespace hearth
