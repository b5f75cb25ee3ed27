#include "formats/direct/read_buffer.h"

#include <sys/mman.h>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/units.h"

namespace hearth {

ReadBuffer make_read_buffer(int64_t bytes) {
  const int64_t alignment = bytes >= 2 * MiB ? 2 * MiB : kReadAlignment;
  const auto size = static_cast<size_t>(round_up(bytes, alignment));
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(static_cast<size_t>(alignment), size));
  if (!memory) throw Error(Code::kNoMemory, fmt::format("no {} bytes for reading", bytes));
  if (bytes >= 2 * MiB) ::madvise(memory, size, MADV_HUGEPAGE);
  return ReadBuffer(memory);
}

}  // namespace hearth
