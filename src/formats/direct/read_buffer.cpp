#include "formats/direct/read_buffer.h"

#include <sys/mman.h>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/units.h"

namespace hearth {
namespace {

constexpr int64_t kHugePage = 2 * MiB, kLarge = 512 * KiB;  // from kLarge on whole huge pages, partly used

std::byte* map(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

// Aligned to a huge page: what lies before and behind goes back.
std::byte* map_huge(size_t bytes) {
  std::byte* memory = map(bytes + kHugePage);
  if (!memory) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(memory);
  const size_t before = -address % kHugePage;
  if (before > 0) ::munmap(memory, before);
  ::munmap(memory + before + bytes, kHugePage - before);
  ::madvise(memory + before, bytes, MADV_HUGEPAGE);
  return memory + before;
}

}  // namespace

void ReadBufferDeleter::operator()(std::byte* memory) const { ::munmap(memory, bytes); }

ReadBuffer make_read_buffer(int64_t bytes) {
  const bool is_huge = bytes >= kLarge;
  const auto size = static_cast<size_t>(round_up(bytes, is_huge ? kHugePage : kReadAlignment));
  std::byte* memory = is_huge ? map_huge(size) : map(size);
  if (!memory) throw Error(Code::kNoMemory, fmt::format("no {} bytes for reading", bytes));
  return ReadBuffer(memory, ReadBufferDeleter{size});
}

}  // namespace hearth
