// PackedList: a list of numbers of one width, of booleans or of texts, held as tightly as a file holds it, where a list
// of Values would take 40 bytes for each. Immutable and shared: a Value that is copied shares its PackedList. Reading
// from several threads is fine.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hearth {

class Value;

class PackedList {
 public:
  enum class Type : uint8_t {
    kBool, kInt8, kUint8, kInt16, kUint16, kInt32, kUint32, kInt64, kUint64, kFloat32, kFloat64, kText
  };

  /// `bytes` are whole elements in the machine's byte order; not for kText.
  static std::shared_ptr<const PackedList> of_numbers(Type type, std::string bytes);
  /// Element i is what lies between ends[i - 1] and ends[i] in `text`; ends never fall.
  static std::shared_ptr<const PackedList> of_texts(std::string text, std::vector<uint32_t> ends);
  /// Bytes of one element; 0 for kText.
  static size_t width(Type type);

  PackedList(Type type, std::string bytes, std::vector<uint32_t> ends);
  PackedList(const PackedList&) = delete;
  PackedList& operator=(const PackedList&) = delete;
  ~PackedList();

  Type type() const { return type_; }
  size_t size() const { return size_; }
  Value operator[](size_t position) const;
  /// kText only. Borrowed from the list.
  std::string_view text(size_t position) const;
  /// The same list as Values, made at the first call and kept: for readers that know no other list.
  const std::vector<Value>& unpacked() const;

 private:
  Type type_;
  size_t size_;
  std::string bytes_;
  std::vector<uint32_t> ends_;
  mutable std::atomic<const std::vector<Value>*> unpacked_ = nullptr;
};

}  // namespace hearth
