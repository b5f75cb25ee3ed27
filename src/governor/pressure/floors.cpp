#include "governor/pressure/floors.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "core/base/units.h"
#include "core/base/value.h"

namespace hearth::governor {
namespace {

Error refusal(int64_t available_bytes, std::string text) {
  return Error(Code::kNoMemory, std::move(text))
      .with(std::make_shared<const Value>(Value::object({{"available_bytes", std::max<int64_t>(available_bytes, 0)}})));
}

}  // namespace

Floors floors_for(int64_t pool_bytes) {
  return {.soft_bytes = pool_bytes / 8, .hard_bytes = pool_bytes / 16, .panic_bytes = pool_bytes / 32};
}

int64_t reserve_for(int64_t pool_bytes) { return std::max(pool_bytes / 10, pool_bytes / 32 * 3); }

Result<void> may_grow(int64_t bytes, const Reading& reading, const Floors& floors, bool needs_blocks) {
  const int64_t left = reading.room_bytes - bytes;
  if (left < floors.soft_bytes) {
    return Unexpected(refusal(reading.room_bytes - floors.soft_bytes,
                              fmt::format("{} more would leave the host {} of {}, less than its floor of {}",
                                          format_bytes(bytes), format_bytes(std::max<int64_t>(left, 0)),
                                          format_bytes(reading.room_bytes), format_bytes(floors.soft_bytes))));
  }
  // Page cache that must be reclaimed first comes back in blocks; free memory in small pieces stays in pieces.
  const bool is_in_pieces = reading.large_block_bytes >= 0 && reading.free_bytes >= bytes &&
                            reading.large_block_bytes < bytes;
  if (needs_blocks && is_in_pieces) {
    return Unexpected(refusal(
        reading.large_block_bytes,
        fmt::format("free memory is in small pieces: {} free, of which {} in blocks of 2 MiB, and {} are needed. As "
                    "root: echo 1 > /proc/sys/vm/compact_memory; restart the machine if that does not help",
                    format_bytes(reading.free_bytes), format_bytes(reading.large_block_bytes), format_bytes(bytes))));
  }
  return {};
}

Reading take_reading(const machine::Root& root, bool has_integrated_gpu, double time_s) {
  const machine::HostMemory memory = machine::read_host_memory(root);
  Reading reading;
  reading.time_s = time_s;
  const std::optional<int64_t> room = machine::room_bytes(memory, has_integrated_gpu);
  reading.is_known = room.has_value();
  reading.room_bytes = room.value_or(0);
  reading.free_bytes = memory.free_bytes.value_or(0);
  const std::optional<machine::FreeBlocks> blocks = machine::read_free_blocks(root);
  reading.large_block_bytes = blocks ? blocks->bytes_in_blocks_of(kLargeBlock) : -1;
  if (const auto pressure = machine::read_memory_pressure(root)) {
    reading.stall_percent = pressure->full_avg10;
    reading.stalled_us = pressure->full_total_us;
  }
  return reading;
}

}  // namespace hearth::governor
