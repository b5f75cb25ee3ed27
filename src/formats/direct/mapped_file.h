// MappedFile: a file as memory, read through the page cache, which keeps it. Touching a page whose bytes are gone, as
// the file was cut short or its disk failed, ends a process: of files mapped here such pages read as zeros instead, and
// is_whole() says so. Reading is thread-safe.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace hearth {

class MappedFile {
 public:
  /// The first `bytes` of an open file. Throws Error{kIo}, or kBusy when too many are mapped already.
  MappedFile(int descriptor, int64_t bytes);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, static_cast<size_t>(bytes_)}; }
  /// Has the kernel begin to read a part, and does not wait for it.
  void will_need(int64_t offset, int64_t bytes) const;
  /// Whether every page touched so far had its bytes.
  bool is_whole() const;

 private:
  const std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  int slot_ = -1;  // in the table that the signal handler looks into
};

}  // namespace hearth
