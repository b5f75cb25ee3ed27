// Reading runs of bytes out of a checkpoint's files.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

namespace hearth {

/// Reads exactly `bytes` at `offset`. Throws Error{kIo}, kCorruptFile when the file ends first, kCancelled soon after
/// `stop` is asked for.
void read_exactly(int fd, const std::string& path, int64_t offset, std::byte* to, int64_t bytes,
                  const std::stop_token& stop);

/// Descriptors of several files for small reads, open while it lives; what the page cache kept of the files goes with
/// it. Throws Error{kIo} naming the one that cannot be opened.
class OpenFiles {
 public:
  explicit OpenFiles(const std::vector<std::string>& paths);
  ~OpenFiles();
  OpenFiles(const OpenFiles&) = delete;
  const std::vector<int>& fds() const { return fds_; }

 private:
  std::vector<int> fds_;
};

}  // namespace hearth
