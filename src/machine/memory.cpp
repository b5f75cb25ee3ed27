#include "machine/memory.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <sstream>
#include <string>

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

// The path of this process in the version 2 hierarchy ("0::/user.slice/..."), or "".
std::string cgroup_path(const Root& root) {
  const std::optional<std::string> text = root.text("/proc/self/cgroup");
  if (!text) return "";
  for (const std::string& line : lines_of(*text)) {
    if (line.starts_with("0::")) return line.substr(3) == "/" ? "" : line.substr(3);
  }
  return "";
}

// Limits of enclosing groups bind too: the smallest one counts.
void read_cgroup(const Root& root, HostMemory& memory) {
  const std::string base = "/sys/fs/cgroup";
  int64_t smallest = std::numeric_limits<int64_t>::max();
  for (std::string path = cgroup_path(root);; path.resize(path.rfind('/'))) {
    const std::optional<int64_t> limit = cgroup_number(root, base + path + "/memory.max");
    if (limit && *limit < smallest) {
      smallest = *limit;
      memory.cgroup_limit_bytes = limit;
      memory.cgroup_used_bytes = cgroup_number(root, base + path + "/memory.current");
      memory.cgroup_cache_bytes = cache_of(root, base + path + "/memory.stat", "");
    }
    if (path.empty() || path.rfind('/') == path.npos) break;
  }
  if (memory.cgroup_limit_bytes) return;
  memory.cgroup_limit_bytes = cgroup_number(root, base + "/memory/memory.limit_in_bytes");
  if (!memory.cgroup_limit_bytes) return;
  memory.cgroup_used_bytes = cgroup_number(root, base + "/memory/memory.usage_in_bytes");
  memory.cgroup_cache_bytes = cache_of(root, base + "/memory/memory.stat", "total_");
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
  read_cgroup(root, memory);
  return memory;
}

std::optional<int64_t> room_bytes(const HostMemory& memory, bool has_integrated_gpu) {
  std::optional<int64_t> room = memory.available_bytes;
  if (has_integrated_gpu && memory.huge_pages.value_or(0) > 0 && memory.huge_page_bytes) {
    room = memory.free_huge_pages.value_or(0) * *memory.huge_page_bytes;
  }
  if (room && memory.cgroup_limit_bytes && memory.cgroup_used_bytes) {
    const int64_t held = std::max<int64_t>(*memory.cgroup_used_bytes - memory.cgroup_cache_bytes.value_or(0), 0);
    room = std::min(*room, std::max<int64_t>(*memory.cgroup_limit_bytes - held, 0));
  }
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
