#include "machine/memory.h"

#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

namespace hearth::machine {
namespace {

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

// "MemTotal:   123 kB" -> bytes.
std::optional<int64_t> kib_field(const std::string& text, const std::string& key) {
  size_t at = text.find(key + ":");
  if (at == text.npos) return std::nullopt;
  return std::strtoll(text.c_str() + at + key.size() + 1, nullptr, 10) * 1024;
}

// A cgroup number; "max" and values beyond any real memory mean unlimited.
std::optional<int64_t> cgroup_number(const std::string& path) {
  std::optional<std::string> text = read_text(path);
  if (!text || text->rfind("max", 0) == 0) return std::nullopt;
  char* end = nullptr;
  unsigned long long value = std::strtoull(text->c_str(), &end, 10);
  if (end == text->c_str() || value > (1ULL << 60)) return std::nullopt;
  return static_cast<int64_t>(value);
}

// The path of this process in the version 2 hierarchy ("0::/user.slice/..."), or "".
std::string cgroup_path(const std::string& root) {
  std::optional<std::string> text = read_text(root + "/proc/self/cgroup");
  if (!text) return "";
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("0::", 0) == 0) return line.substr(3) == "/" ? "" : line.substr(3);
  }
  return "";
}

// Limits of enclosing groups bind too: the smallest one counts.
void read_cgroup(const std::string& root, HostMemory& memory) {
  const std::string base = root + "/sys/fs/cgroup";
  int64_t smallest = std::numeric_limits<int64_t>::max();
  for (std::string path = cgroup_path(root);; path.resize(path.rfind('/'))) {
    std::optional<int64_t> limit = cgroup_number(base + path + "/memory.max");
    if (limit && *limit < smallest) {
      smallest = *limit;
      memory.cgroup_limit_bytes = limit;
      memory.cgroup_used_bytes = cgroup_number(base + path + "/memory.current");
    }
    if (path.empty() || path.rfind('/') == path.npos) break;
  }
  if (memory.cgroup_limit_bytes) return;
  memory.cgroup_limit_bytes = cgroup_number(base + "/memory/memory.limit_in_bytes");
  if (memory.cgroup_limit_bytes) memory.cgroup_used_bytes = cgroup_number(base + "/memory/memory.usage_in_bytes");
}

}  // namespace

HostMemory read_host_memory(const std::string& root) {
  HostMemory memory;
  if (std::optional<std::string> text = read_text(root + "/proc/meminfo")) {
    memory.total_bytes = kib_field(*text, "MemTotal");
    memory.available_bytes = kib_field(*text, "MemAvailable");
  }
  read_cgroup(root, memory);
  return memory;
}

ProcessMemory read_process_memory() {
  ProcessMemory memory;
  std::optional<std::string> text = read_text("/proc/self/status");
  if (!text) return memory;
  memory.resident_bytes = kib_field(*text, "VmRSS").value_or(0);
  memory.peak_bytes = kib_field(*text, "VmHWM").value_or(0);
  memory.anonymous_bytes = kib_field(*text, "RssAnon").value_or(0);
  return memory;
}

}  // namespace hearth::machine
