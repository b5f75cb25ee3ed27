#include "governor/neighbour/neighbours.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "machine/memory.h"

namespace hearth::governor {
namespace {

constexpr int kDeepest = 64;  // a process that is reused as its own descendant while we look does not hold us up

int64_t tree_bytes(int pid, const machine::Root& root, int depth) {
  const auto memory = machine::read_process_memory(pid, root);
  if (!memory || depth > kDeepest) return 0;
  int64_t bytes = memory->resident_bytes;
  const std::string tasks = fmt::format("/proc/{}/task", pid);
  for (const std::string& task : root.names(tasks)) {
    const std::string children = root.text(tasks + "/" + task + "/children").value_or("");
    const char* at = children.data();
    const char* end = at + children.size();
    while (at < end) {
      int child = 0;
      const auto [rest, failure] = std::from_chars(at, end, child);
      if (failure == std::errc()) bytes += tree_bytes(child, root, depth + 1);
      at = failure == std::errc() ? rest : at + 1;
    }
  }
  return bytes;
}

}  // namespace

int64_t process_tree_bytes(int pid, const machine::Root& root) { return pid > 0 ? tree_bytes(pid, root, 0) : 0; }

std::shared_ptr<void> Neighbours::add(Lease lease, std::string name, int pid) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_.emplace_back();
  entry.name = std::move(name);
  entry.promised_bytes = lease.bytes();
  entry.pid = pid;
  entry.lease = std::move(lease);
  return std::shared_ptr<void>(&entry, [this](void* gone) {
    std::list<Entry> leaving;  // its lease goes after the lock
    std::lock_guard guard(mutex_);
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return &e == gone; });
    leaving.splice(leaving.end(), entries_, found);
    log::info("{} gave its {} back; it used {} at most", leaving.front().name,
              format_bytes(leaving.front().promised_bytes), format_bytes(leaving.front().peak_bytes));
  });
}

void Neighbours::look() {
  std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    entry.used_bytes = process_tree_bytes(entry.pid, root_);
    entry.peak_bytes = std::max(entry.peak_bytes, entry.used_bytes);
    if (entry.used_bytes <= entry.promised_bytes || std::exchange(entry.was_warned, true)) continue;
    log::warn("{} uses {}, more than the {} it reserved", entry.name, format_bytes(entry.used_bytes),
              format_bytes(entry.promised_bytes));
  }
}

int64_t Neighbours::promised_bytes() const {
  std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const Entry& entry : entries_) bytes += std::max<int64_t>(entry.promised_bytes - entry.used_bytes, 0);
  return bytes;
}

std::vector<Neighbours::Neighbour> Neighbours::list() const {
  std::lock_guard lock(mutex_);
  return {entries_.begin(), entries_.end()};
}

}  // namespace hearth::governor
