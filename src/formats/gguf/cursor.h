// Cursor: little-endian fields one after another, out of memory or out of a file read in pieces. It keeps a small
// window of the file; what is longer goes straight to where it is wanted. Every read is checked against the end before
// memory is taken for it: Error{kCorruptFile} names the field that did not fit and the byte where it begins.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/input_file.h"

namespace hearth::gguf {

class Cursor {
 public:
  /// Reads from memory that must outlive the cursor.
  Cursor(std::string_view bytes, std::string name)
      : window_(bytes), end_(static_cast<int64_t>(bytes.size())), name_(std::move(name)) {}
  /// Reads the first `end` bytes of a file that must outlive the cursor.
  Cursor(const InputFile& file, int64_t end) : file_(&file), end_(end), name_(file.path()) {}

  int64_t position() const { return window_start_ + static_cast<int64_t>(at_); }
  int64_t remaining() const { return end_ - position(); }
  const std::string& name() const { return name_; }

  template <class T>
  T scalar(std::string_view field) {
    field_ = position();
    return take<T>(field);
  }

  /// A 64-bit length and that many bytes, at most `most`.
  std::string text(std::string_view field, uint64_t most = UINT64_MAX);

  /// A 64-bit count of things that take at least `least_bytes` each; refused when they cannot fit in what is left.
  int64_t count(int64_t least_bytes, std::string_view field);

  /// The next into.size() bytes.
  void copy(std::span<char> into, std::string_view field);
  /// Passes over bytes, which are not read.
  void skip(uint64_t count, std::string_view field);
  /// Goes back (or on) to a position got from position().
  void seek(int64_t position);

  /// Error{kCorruptFile}: "<name>: <field> at byte <where the field read last begins>: <problem>".
  [[noreturn]] void fail(std::string_view field, std::string_view problem) const;

 private:
  template <class T>
  T take(std::string_view field) {
    T value;
    take_bytes({reinterpret_cast<char*>(&value), sizeof(T)}, field);
    return value;
  }
  void take_bytes(std::span<char> into, std::string_view field) {
    if (into.size() > window_.size() - at_) refill(into.size(), field);
    std::memcpy(into.data(), window_.data() + at_, into.size());
    at_ += into.size();
  }
  void require(uint64_t count, std::string_view field) const;
  void refill(uint64_t count, std::string_view field);

  const InputFile* file_ = nullptr;
  std::vector<char> buffer_;
  std::string_view window_;
  size_t at_ = 0;             // in the window
  int64_t window_start_ = 0;  // of the window in the file
  int64_t field_ = 0;         // where the field read last begins
  int64_t end_ = 0;           // of what may be read
  std::string name_;
};

}  // namespace hearth::gguf
