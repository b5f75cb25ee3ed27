// How fast a file comes off its disk when nothing is done with its bytes: what loading is measured against.
#pragma once
#include <cstdint>
#include <string>

#include "formats/direct/direct_reader.h"

namespace hearth {

struct DiskSpeed {
  int64_t bytes = 0;
  double seconds = 0;
  bool is_direct = false, uses_uring = false;
  double rate() const { return static_cast<double>(bytes) / seconds; }  // bytes a second
};

/// Reads the whole file as DirectReader would, its blocks into as many buffers in turn. Throws Error{kIo} naming the
/// file, kInvalidArgument for an empty one.
DiskSpeed measure_disk(const std::string& path, const ReadOptions& options = {}, int buffers = 1);

/// Reads the whole file through the page cache, which is emptied of it before and after: block by block, as
/// `dd bs=16M` does.
DiskSpeed measure_buffered_disk(const std::string& path, int64_t block_bytes = 16 << 20);

}  // namespace hearth
