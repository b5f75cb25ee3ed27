#include "machine/cgroup.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace hearth::machine {
namespace {

// "150000 100000": so many microseconds in each period of so many; "max 100000" and "-1" are no limit.
std::optional<double> quota_of(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  std::istringstream words(*text);
  double quota = 0, period = 0;
  if (!(words >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

}  // namespace

std::string cgroup_path(const Root& root) {
  const std::optional<std::string> text = root.text("/proc/self/cgroup");
  if (!text) return "";
  for (const std::string& line : lines_of(*text)) {
    if (line.starts_with("0::")) return line.substr(3) == "/" ? "" : line.substr(3);
  }
  return "";
}

std::optional<double> read_cpu_quota(const Root& root) {
  const std::string base = "/sys/fs/cgroup";
  std::optional<double> least;
  auto add = [&](std::optional<double> limit) {
    if (limit) least = std::min(least.value_or(*limit), *limit);
  };
  for (std::string path = cgroup_path(root);; path.resize(path.rfind('/'))) {  // enclosing groups bind too
    add(quota_of(root.text(base + path + "/cpu.max")));
    if (path.empty() || path.rfind('/') == path.npos) break;
  }
  const std::optional<std::string> quota = root.text(base + "/cpu/cpu.cfs_quota_us");
  const std::optional<std::string> period = root.text(base + "/cpu/cpu.cfs_period_us");
  if (quota && period) add(quota_of(*quota + " " + *period));
  return least;
}

}  // namespace hearth::machine
