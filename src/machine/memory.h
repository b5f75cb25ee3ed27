// Memory as the kernel states it: what there is, how hard it is to get, and what this process holds.
#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "machine/root.h"

namespace hearth::machine {

/// Bytes; from /proc/meminfo and the cgroup files.
struct HostMemory {
  std::optional<int64_t> total_bytes;         // MemTotal
  std::optional<int64_t> free_bytes;          // MemFree: what cudaMemGetInfo calls free on an integrated GPU
  std::optional<int64_t> available_bytes;     // MemAvailable
  std::optional<int64_t> cached_bytes;        // Cached: page cache, tmpfs included
  std::optional<int64_t> shmem_bytes;         // Shmem: tmpfs, /dev/shm
  std::optional<int64_t> swap_total_bytes, swap_free_bytes;
  std::optional<int64_t> huge_pages, free_huge_pages, huge_page_bytes;
  std::optional<int64_t> cgroup_limit_bytes;  // smallest memory.max or .high of its cgroups; nothing when unlimited
  std::optional<int64_t> cgroup_used_bytes;   // memory.current of that cgroup
  std::optional<int64_t> cgroup_cache_bytes;  // of it, page cache of files, which goes when room is needed
  std::optional<int64_t> cgroup_room_bytes;   // what the fullest of its cgroups leaves, such cache counted as room
};

/// Reads /proc/meminfo and /sys/fs/cgroup (version 2, then 1).
HostMemory read_host_memory(const Root& root = {});

/// What can still be taken without pushing anybody out: min(available, room in the cgroup). On a machine whose GPU is
/// integrated, reserved huge pages are what the driver draws from when there are any; elsewhere they are nobody's.
std::optional<int64_t> room_bytes(const HostMemory& memory, bool has_integrated_gpu);

/// Share of time in which tasks waited for memory (PSI): "some" waited, or "full": all of them.
struct MemoryPressure {
  double some_avg10 = 0, full_avg10 = 0;          // percent of the last 10 s
  int64_t some_total_us = 0, full_total_us = 0;   // since boot
};
/// Nothing where the kernel was built or booted without PSI.
std::optional<MemoryPressure> read_memory_pressure(const Root& root = {});

/// Free blocks of physical memory by order (2^order pages), summed over zones and nodes.
struct FreeBlocks {
  static constexpr int kOrders = 16;
  std::array<int64_t, kOrders> count{};
  int64_t page_bytes = 4096;
  /// Free bytes in blocks of at least `block_bytes`.
  int64_t bytes_in_blocks_of(int64_t block_bytes) const;
  int64_t blocks_of_at_least(int64_t block_bytes) const;
};
std::optional<FreeBlocks> read_free_blocks(const Root& root = {}, int64_t page_bytes = 4096);

/// Counters since boot, of /proc/vmstat.
struct SwapAndCompaction {
  int64_t pages_swapped_in = 0, pages_swapped_out = 0;
  int64_t compaction_stalls = 0, compaction_failures = 0;
  int64_t oom_kills = 0;
};
std::optional<SwapAndCompaction> read_swap_and_compaction(const Root& root = {});

struct ProcessMemory {
  int64_t resident_bytes = 0;   // VmRSS
  int64_t peak_bytes = 0;       // VmHWM
  int64_t anonymous_bytes = 0;  // RssAnon
};
ProcessMemory read_process_memory();
/// The same of another process; nothing when it is gone.
std::optional<ProcessMemory> read_process_memory(int pid, const Root& root = {});

}  // namespace hearth::machine
