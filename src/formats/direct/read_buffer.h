// Memory that reads past the page cache land in: aligned for them, and in huge pages where it is large, as the kernel
// takes hold of every page for each read and disks are asked for runs of them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace hearth {

struct ReadBufferDeleter {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using ReadBuffer = std::unique_ptr<std::byte[], ReadBufferDeleter>;

constexpr int64_t kReadAlignment = 4096;  // of offsets and sizes in the file, and of where they go

/// `bytes`, rounded up to the alignment. Throws Error{kNoMemory}.
ReadBuffer make_read_buffer(int64_t bytes);

}  // namespace hearth
