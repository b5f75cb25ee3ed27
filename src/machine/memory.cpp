#include "machine/memory.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "machine/cgroup.h"

namespace hearth::machine {
namespace {

std::optional<int64_t> number_field(const std::string& text, const std::string& key) {
  const std::optional<std::string> field = field_of(text, key);
  if (!field || field->empty()) return std::nullopt;
  char* end = nullptr;
  const long long value = std::strtoll(field->c_str(), &end, 10);
  if (end == field->c_str()) return std::nullopt;
  return value;
}

// "MemTotal:   123 kB" -> bytes.
std::optional<int64_t> kib_field(const std::string& text, const std::string& key) {
  const std::optional<int64_t> kib = number_field(text, key);
  return kib ? std::optional(*kib * 1024) : std::nullopt;
}

// A cgroup number; "max" and values beyond any real memory mean unlimited.
std::optional<int64_t> cgroup_number(const Root& root, const std::string& path) {
  const std::optional<std::string> text = root.text(path);
  if (!text || text->starts_with("max")) return std::nullopt;
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text->c_str(), &end, 10);
  if (end == text->c_str() || value > (1ULL << 60)) return std::nullopt;
  return static_cast<int64_t>(value);
}

// Page cache of a memory.stat text; shared memory counts as file there but does not go.
std::optional<int64_t> cache_of(const Root& root, const std::string& path, std::string_view prefix) {
  const std::optional<std::string> text = root.text(path);
  if (!text) return std::nullopt;
  int64_t bytes = 0;
  for (const std::string& line : lines_of(*text)) {
    for (const char* key : {"inactive_file ", "active_file "}) {
      const std::string start = std::string(prefix) + key;
      if (line.starts_with(start)) bytes += std::strtoll(line.c_str() + start.size(), nullptr, 10);
    }
  }
  return bytes;
}

// Where one version of cgroups keeps its numbers.
struct Hierarchy {
  std::string base;
  std::vector<std::string> limits;  // the lowest binds
  std::string used, cache_prefix;
};

// The path of this process in version 1's memory hierarchy ("4:memory:/box"), or "".
std::string version_one_path(const Root& root) {
  for (const std::string& line : lines_of(root.text("/proc/self/cgroup").value_or(""))) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers.find(",memory,") == controllers.npos) continue;
    return line.substr(second + 1) == "/" ? "" : line.substr(second + 1);
  }
  return "";
}

// Limits of enclosing groups bind too: the smallest is the limit, and the fullest says how much room there is, which
// need not be the same one.
void read_cgroup(const Root& root, const Hierarchy& files, std::string path, HostMemory& memory) {
  for (;; path.resize(path.rfind('/'))) {
    const std::string group = files.base + path + "/";
    std::optional<int64_t> limit;
    for (const std::string& name : files.limits) {
      const std::optional<int64_t> one = cgroup_number(root, group + name);
      if (one) limit = std::min(limit.value_or(*one), *one);
    }
    if (limit) {
      const std::optional<int64_t> used = cgroup_number(root, group + files.used);
      const std::optional<int64_t> cache = cache_of(root, group + "memory.stat", files.cache_prefix);
      if (!memory.cgroup_limit_bytes || *limit < *memory.cgroup_limit_bytes) {
        memory.cgroup_limit_bytes = limit;
        memory.cgroup_used_bytes = used;
        memory.cgroup_cache_bytes = cache;
      }
      if (used) {
        const int64_t held = std::max<int64_t>(*used - cache.value_or(0), 0);
        const int64_t room = std::max<int64_t>(*limit - held, 0);
        memory.cgroup_room_bytes = std::min(memory.cgroup_room_bytes.value_or(room), room);
      }
    }
    if (path.empty() || path.rfind('/') == path.npos) return;
  }
}

void read_cgroups(const Root& root, HostMemory& memory) {
  read_cgroup(root, {"/sys/fs/cgroup", {"memory.max", "memory.high"}, "memory.current", ""}, cgroup_path(root), memory);
  if (memory.cgroup_limit_bytes) return;
  read_cgroup(root, {"/sys/fs/cgroup/memory", {"memory.limit_in_bytes"}, "memory.usage_in_bytes", "total_"},
              version_one_path(root), memory);
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
bool read_pressure_line(const std::string& text, const std::string& kind, double& avg10, int64_t& total_us) {
  for (const std::string& line : lines_of(text)) {
    if (!line.starts_with(kind + " ")) continue;
    const size_t average = line.find("avg10="), total = line.find("total=");
    if (average == line.npos || total == line.npos) return false;
    avg10 = std::strtod(line.c_str() + average + 6, nullptr);
    total_us = std::strtoll(line.c_str() + total + 6, nullptr, 10);
    return true;
  }
  return false;
}

// "pswpin 123"
int64_t counter(const std::string& text, const std::string& key) {
  for (const std::string& line : lines_of(text)) {
    if (line.starts_with(key + " ")) return std::strtoll(line.c_str() + key.size() + 1, nullptr, 10);
  }
  return 0;
}

ProcessMemory process_memory_of(const std::string& status) {
  return {.resident_bytes = kib_field(status, "VmRSS").value_or(0),
          .peak_bytes = kib_field(status, "VmHWM").value_or(0),
          .anonymous_bytes = kib_field(status, "RssAnon").value_or(0)};
}

}  // namespace

HostMemory read_host_memory(const Root& root) {
  HostMemory memory;
  if (const std::optional<std::string> text = root.text("/proc/meminfo")) {
    memory.total_bytes = kib_field(*text, "MemTotal");
    memory.free_bytes = kib_field(*text, "MemFree");
    memory.available_bytes = kib_field(*text, "MemAvailable");
    memory.cached_bytes = kib_field(*text, "Cached");
    memory.shmem_bytes = kib_field(*text, "Shmem");
    memory.swap_total_bytes = kib_field(*text, "SwapTotal");
    memory.swap_free_bytes = kib_field(*text, "SwapFree");
    memory.huge_pages = number_field(*text, "HugePages_Total");
    memory.free_huge_pages = number_field(*text, "HugePages_Free");
    memory.huge_page_bytes = kib_field(*text, "Hugepagesize");
  }
  read_cgroups(root, memory);
  return memory;
}

std::optional<int64_t> room_bytes(const HostMemory& memory, bool has_integrated_gpu) {
  std::optional<int64_t> room = memory.available_bytes;
  if (has_integrated_gpu && memory.huge_pages.value_or(0) > 0 && memory.huge_page_bytes) {
    room = memory.free_huge_pages.value_or(0) * *memory.huge_page_bytes;
  }
  if (room && memory.cgroup_room_bytes) room = std::min(*room, *memory.cgroup_room_bytes);
  return room;
}

std::optional<MemoryPressure> read_memory_pressure(const Root& root) {
  const std::optional<std::string> text = root.text("/proc/pressure/memory");
  MemoryPressure pressure;
  if (!text || !read_pressure_line(*text, "some", pressure.some_avg10, pressure.some_total_us)) return std::nullopt;
  read_pressure_line(*text, "full", pressure.full_avg10, pressure.full_total_us);
  return pressure;
}

int64_t FreeBlocks::bytes_in_blocks_of(int64_t block_bytes) const {
  int64_t bytes = 0;
  for (int order = 0; order < kOrders; ++order) {
    if ((page_bytes << order) >= block_bytes) bytes += count[order] * (page_bytes << order);
  }
  return bytes;
}

int64_t FreeBlocks::blocks_of_at_least(int64_t block_bytes) const {
  int64_t blocks = 0;
  for (int order = 0; order < kOrders; ++order) {
    if ((page_bytes << order) >= block_bytes) blocks += count[order];
  }
  return blocks;
}

// "Node 0, zone   Normal   12   3 ..."
std::optional<FreeBlocks> read_free_blocks(const Root& root, int64_t page_bytes) {
  const std::optional<std::string> text = root.text("/proc/buddyinfo");
  if (!text) return std::nullopt;
  FreeBlocks blocks;
  blocks.page_bytes = page_bytes;
  for (const std::string& line : lines_of(*text)) {
    const size_t zone = line.find("zone");
    if (zone == line.npos) continue;
    std::istringstream words(line.substr(zone + 4));
    std::string name;
    words >> name;
    int64_t number = 0;
    for (int order = 0; order < FreeBlocks::kOrders && words >> number; ++order) blocks.count[order] += number;
  }
  return blocks;
}

std::optional<SwapAndCompaction> read_swap_and_compaction(const Root& root) {
  const std::optional<std::string> text = root.text("/proc/vmstat");
  if (!text) return std::nullopt;
  return SwapAndCompaction{.pages_swapped_in = counter(*text, "pswpin"), .pages_swapped_out = counter(*text, "pswpout"),
                           .compaction_stalls = counter(*text, "compact_stall"),
                           .compaction_failures = counter(*text, "compact_fail"),
                           .oom_kills = counter(*text, "oom_kill")};
}

ProcessMemory read_process_memory() {
  const std::optional<std::string> status = Root().text("/proc/self/status");
  return status ? process_memory_of(*status) : ProcessMemory();
}

std::optional<ProcessMemory> read_process_memory(int pid, const Root& root) {
  const std::optional<std::string> status = root.text("/proc/" + std::to_string(pid) + "/status");
  if (!status) return std::nullopt;
  return process_memory_of(*status);
}

}  // namespace hearth::machine
