#include "models/load/read_bytes.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/units.h"

namespace hearth {
namespace {

constexpr int64_t kReadBytes = 64 * MiB;  // at most this much is read between two looks at a stop

void go_on_unless(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(Code::kCancelled, "loading was stopped");
}

}  // namespace

void read_exactly(int fd, const std::string& path, int64_t offset, std::byte* to, int64_t bytes,
                  const std::stop_token& stop) {
  while (bytes > 0) {
    go_on_unless(stop);
    ssize_t got = pread(fd, to, static_cast<size_t>(std::min(bytes, kReadBytes)), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(Code::kIo, fmt::format("{}: read at {} failed: {}", path, offset, std::strerror(errno)));
    if (got == 0) {
      throw Error(Code::kCorruptFile,
                  fmt::format("{}: ends at {}, {} bytes short of its tensors", path, offset, bytes));
    }
    to += got;
    offset += got;
    bytes -= got;
  }
}

OpenFiles::OpenFiles(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      int reason = errno;
      for (int opened : fds_) ::close(opened);
      throw Error(Code::kIo, fmt::format("{}: {}", path, std::strerror(reason)));
    }
    fds_.push_back(fd);
  }
}

OpenFiles::~OpenFiles() {
  for (int fd : fds_) {
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
}

}  // namespace hearth
