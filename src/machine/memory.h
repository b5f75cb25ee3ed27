// Host memory as the kernel states it. The root is replaceable, so that a recorded machine drives the same code.
// Unknown is std::nullopt, never a guess.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace hearth::machine {

struct HostMemory {
  std::optional<int64_t> total_bytes;          // MemTotal
  std::optional<int64_t> available_bytes;      // MemAvailable
  std::optional<int64_t> cgroup_limit_bytes;   // memory.max of this process's cgroup; nothing when unlimited
  std::optional<int64_t> cgroup_used_bytes;    // memory.current
};

/// Reads <root>/proc and <root>/sys/fs/cgroup (version 2, then 1).
HostMemory read_host_memory(const std::string& root = "");

struct ProcessMemory {
  int64_t resident_bytes = 0;   // VmRSS
  int64_t peak_bytes = 0;       // VmHWM
  int64_t anonymous_bytes = 0;  // RssAnon
};
ProcessMemory read_process_memory();

}  // namespace hearth::machine
