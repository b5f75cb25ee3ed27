// Cursor: little-endian fields one after another, out of memory or out of a file read in large pieces. It keeps a
// window of the file, so a header costs one buffer however long it is. Every read is checked against the end first:
// Error{kCorruptFile} names the field that did not fit.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/input_file.h"

namespace hearth::gguf {

class Cursor {
 public:
  /// Reads from memory that must outlive the cursor.
  Cursor(std::string_view bytes, std::string name) : window_(bytes), end_(bytes.size()), name_(std::move(name)) {}
  /// Reads the first `end` bytes of a file that must outlive the cursor.
  Cursor(const InputFile& file, int64_t end) : file_(&file), end_(end), name_(file.path()) {}

  int64_t position() const { return window_start_ + static_cast<int64_t>(at_); }
  int64_t remaining() const { return end_ - position(); }
  const std::string& name() const { return name_; }

  /// The next `count` bytes; valid until the next call.
  std::string_view bytes(uint64_t count, std::string_view field) {
    if (count > window_.size() - at_) refill(count, field);
    std::string_view taken = window_.substr(at_, count);
    at_ += count;
    return taken;
  }

  template <class T>
  T scalar(std::string_view field) {
    T value;
    std::memcpy(&value, bytes(sizeof(T), field).data(), sizeof(T));
    return value;
  }

  /// A 64-bit length and that many bytes; valid until the next call.
  std::string_view string(std::string_view field) { return bytes(scalar<uint64_t>(field), field); }

  /// A 64-bit count of things that take at least `least_bytes` each; refused when they cannot fit in what is left.
  int64_t count(int64_t least_bytes, std::string_view field);

  /// Error{kCorruptFile}: "<name>: <field> at byte <position>: <problem>".
  [[noreturn]] void fail(std::string_view field, std::string_view problem) const;

 private:
  void refill(uint64_t count, std::string_view field);

  const InputFile* file_ = nullptr;
  std::vector<char> buffer_;
  std::string_view window_;
  size_t at_ = 0;             // in the window
  int64_t window_start_ = 0;  // of the window in the file
  int64_t end_ = 0;           // of what may be read
  std::string name_;
};

}  // namespace hearth::gguf
