// The bytes of one zip entry, unpacked in blocks. zlib lives in inflate.cpp only.
#pragma once
#include <cstdint>

#include "formats/zip/zip.h"

namespace hearth::zip {

struct PackedRange {
  const InFile& file;
  int64_t offset = 0, bytes = 0;
};

/// What came out.
struct Unpacked {
  int64_t bytes = 0;
  uint32_t crc = 0;
};

Result<void> copy_stored(const PackedRange& range, const Sink& sink, Unpacked& done);

/// Raw deflate. kCorruptFile as soon as more than `max_bytes` would come out, on broken data, on a missing end.
Result<void> inflate_raw(const PackedRange& range, int64_t max_bytes, const Sink& sink, Unpacked& done);

}  // namespace hearth::zip
