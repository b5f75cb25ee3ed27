// A regular file opened for reading at given offsets. Used by the header readers; tensor data goes another way.
// Movable, closes itself. Reads from several threads are fine.
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace hearth {

class InputFile {
 public:
  /// Throws kNotFound when there is no such file, kIo when it cannot be opened or is not a regular file.
  explicit InputFile(std::string path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }

  /// Fills `into` from `offset`; kIo when the file ends or a read fails before that.
  void read_at(int64_t offset, std::span<char> into) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

}  // namespace hearth
