#include "formats/direct/read_buffer.h"

#include <sys/mman.h>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/units.h"

namespace hearth {

ReadBuffer make_read_buffer(int64_t bytes) {
  const int64_t alignment = bytes >= 2 * MiB ? 2 * MiB : kReadAlignment;
  const auto size = static_cast<size_t>(round_up(bytes, kReadAlignment));
  void* memory = nullptr;
  if (::posix_memalign(&memory, static_cast<size_t>(alignment), size) != 0) {
    throw Error(Code::kNoMemory, fmt::format("no {} bytes for reading", bytes));
  }
  if (bytes >= 2 * MiB) ::madvise(memory, size, MADV_HUGEPAGE);
  return ReadBuffer(static_cast<std::byte*>(memory));
}

}  // namespace hearth
