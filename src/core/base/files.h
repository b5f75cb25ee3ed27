// Files as durable work needs them: whole reads and writes with the reason of a failure in words, durable renames, free
// space, and a lock that dies with its process. Nothing here creates a file under its final name before it is whole.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/result.h"

namespace hearth {

namespace fs = std::filesystem;

/// An owned file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return number_; }

 private:
  int number_;
};

/// A file read at a moving position or at a given offset. One thread.
class InFile {
 public:
  static Result<InFile> open(const fs::path& path);
  const fs::path& path() const { return path_; }
  int64_t size() const { return size_; }  // when it was opened
  /// Up to `size` bytes; 0 at the end.
  Result<size_t> read(void* bytes, size_t size);
  /// Exactly `size` bytes from `offset`; kCorruptFile when the file ends before.
  Result<void> read_at(int64_t offset, void* bytes, size_t size) const;

 private:
  InFile(fs::path path, Descriptor file, int64_t size) : path_(std::move(path)), file_(std::move(file)), size_(size) {}
  fs::path path_;
  Descriptor file_;
  int64_t size_;
};

/// A file written from front to back. finish() makes it durable; without it the bytes may be lost, never the name.
class OutFile {
 public:
  enum class Start { kEmpty, kAtEnd };
  static Result<OutFile> open(const fs::path& path, Start start);
  int64_t size() const { return size_; }
  /// All of it or an error; a full disk says how much is free and where.
  Result<void> write(const void* bytes, size_t size);
  /// Drops everything written so far.
  Result<void> restart();
  Result<void> finish();

 private:
  OutFile(fs::path path, Descriptor file, int64_t size) : path_(std::move(path)), file_(std::move(file)), size_(size) {}
  fs::path path_;
  Descriptor file_;
  int64_t size_;
};

/// Whole small file; kNotFound, kIo, or kCorruptFile above `limit` bytes.
Result<std::string> read_text(const fs::path& path, int64_t limit);
/// Replaces a small file in one step: temporary name, fsync, rename, fsync of the folder.
Result<void> write_text(const fs::path& path, std::string_view text);
/// rename(2), then fsync of the folder it happened in.
Result<void> rename_durably(const fs::path& from, const fs::path& to);
/// Makes the two names swap what they stand for, in one step.
Result<void> exchange_durably(const fs::path& a, const fs::path& b);
Result<void> make_folders(const fs::path& path);

/// kIo naming the shortage when fewer than `bytes` are free where `folder` lies.
Result<void> need_room(const fs::path& folder, int64_t bytes);

/// An exclusive lock on a file; released when the object or the process ends.
class FileLock {
 public:
  /// kBusy at once when another process holds it; `what` names what it guards.
  static Result<FileLock> take(const fs::path& path, std::string_view what);

 private:
  explicit FileLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace hearth
