#include "formats/input_file.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"

namespace hearth {

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) {
    Code code = errno == ENOENT || errno == ENOTDIR ? Code::kNotFound : Code::kIo;
    throw Error(code, fmt::format("cannot open {}: {}", path_, std::strerror(errno)));
  }
  struct stat facts {};
  if (::fstat(descriptor_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    ::close(descriptor_);
    throw Error(Code::kIo, fmt::format("{} is not a regular file", path_));
  }
  size_ = facts.st_size;
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

void InputFile::read_at(int64_t offset, std::span<char> into) const {
  while (!into.empty()) {
    ssize_t got = ::pread(descriptor_, into.data(), into.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      throw Error(Code::kIo, fmt::format("{}: reading {} bytes at {} failed: {}", path_, into.size(), offset,
                                         got == 0 ? "the file ended" : std::strerror(errno)));
    }
    into = into.subspan(static_cast<size_t>(got));
    offset += got;
  }
}

}  // namespace hearth
