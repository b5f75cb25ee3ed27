// Memory that reads past the page cache land in: whole huge pages where it is large, as the kernel takes hold of every
// page for each read and disks are asked for runs of them. All of it goes back to the machine at the end.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace hearth {

struct ReadBufferDeleter {
  size_t bytes = 0;
  void operator()(std::byte* memory) const;
};
using ReadBuffer = std::unique_ptr<std::byte[], ReadBufferDeleter>;

constexpr int64_t kReadAlignment = 4096;  // of offsets and sizes in the file, and of where they go

/// At least `bytes`. Throws Error{kNoMemory}.
ReadBuffer make_read_buffer(int64_t bytes);

}  // namespace hearth
