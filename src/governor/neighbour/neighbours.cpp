#include "governor/neighbour/neighbours.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "machine/memory.h"

namespace hearth::governor {
namespace {

constexpr int kDeepest = 64;  // a process that is reused as its own descendant while we look does not hold us up

void add_tree(int pid, const machine::Root& root, int depth, std::vector<int>& tree) {
  if (depth > kDeepest || !machine::read_process_memory(pid, root)) return;
  tree.push_back(pid);
  const std::string tasks = fmt::format("/proc/{}/task", pid);
  for (const std::string& task : root.names(tasks)) {
    const std::string children = root.text(tasks + "/" + task + "/children").value_or("");
    const char* at = children.data();
    const char* end = at + children.size();
    while (at < end) {
      int child = 0;
      const auto [rest, failure] = std::from_chars(at, end, child);
      if (failure == std::errc()) add_tree(child, root, depth + 1, tree);
      at = failure == std::errc() ? rest : at + 1;
    }
  }
}

struct GpuUse {
  int pid = 0;
  int64_t bytes = 0;
  std::string_view gpu;
};

template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  Number number = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() ? std::optional(number) : std::nullopt;
}

// "1234, 5120, 00000000:01:00.0": a process, and the MiB that the driver holds for it on a GPU.
std::optional<GpuUse> process_line(std::string_view line) {
  std::string_view fields[3];
  for (std::string_view& field : fields) {
    const size_t comma = std::min(line.find(','), line.size());
    field = line.substr(0, comma);
    line.remove_prefix(std::min(comma + 1, line.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  }
  const auto pid = whole_number<int>(fields[0]);
  const auto mib = whole_number<int64_t>(fields[1]);
  if (!pid || !mib) return std::nullopt;
  return GpuUse{*pid, *mib * MiB, fields[2]};
}

// The driver's tool writes the domain with eight digits, CUDA with four.
bool is_same_gpu(std::string_view a, std::string_view b) {
  auto significant = [](std::string_view bus) { return bus.substr(std::min(bus.find_first_not_of('0'), bus.size())); };
  return std::ranges::equal(significant(a), significant(b), {}, [](unsigned char c) { return std::tolower(c); },
                            [](unsigned char c) { return std::tolower(c); });
}

}  // namespace

std::vector<int> process_tree(int pid, const machine::Root& root) {
  std::vector<int> tree;
  if (pid > 0) add_tree(pid, root, 0, tree);
  return tree;
}

int64_t ProcessUse::tree_bytes(int pid, PoolKind kind) {
  const std::vector<int> tree = process_tree(pid, root_);
  if (kind != PoolKind::kHost && !tree.empty()) ask_driver();
  int64_t bytes = 0;
  for (int process : tree) {
    const auto memory = machine::read_process_memory(process, root_);
    if (kind != PoolKind::kDevice) bytes += memory ? memory->resident_bytes : 0;
    const auto held = gpu_bytes_.find(process);
    if (kind != PoolKind::kHost && held != gpu_bytes_.end()) bytes += held->second;
  }
  return bytes;
}

// A driver that hangs is left alone for a while: nobody waits for it again and again.
void ProcessUse::ask_driver() {
  constexpr std::chrono::milliseconds kLimit{500}, kEvery{2000}, kAfterSilence{30000};
  const auto now = std::chrono::steady_clock::now();
  if (now < next_ask_) return;
  const std::optional<machine::ToolOutput> said =
      root_.run({"nvidia-smi", "--query-compute-apps=pid,used_memory,gpu_bus_id", "--format=csv,noheader,nounits"},
                kLimit);
  next_ask_ = now + (said ? kEvery : kAfterSilence);
  if (!said || said->exit_status != 0) return;
  gpu_bytes_.clear();
  for (const std::string& line : machine::lines_of(said->text)) {
    const auto held = process_line(line);
    if (held && (gpu_.empty() || is_same_gpu(held->gpu, gpu_))) gpu_bytes_[held->pid] += held->bytes;
  }
}

std::shared_ptr<void> Neighbours::add(Lease lease, std::string pool, PoolKind kind, std::string name, int pid) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_.emplace_back();
  entry.name = std::move(name);
  entry.pool = std::move(pool);
  entry.kind = kind;
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
  struct Seen {
    const Entry* entry;
    int pid;
    PoolKind kind;
    int64_t used_bytes = 0;
  };
  std::lock_guard looking(use_mutex_);
  std::vector<Seen> seen;
  {
    std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_) seen.push_back({&entry, entry.pid, entry.kind});
  }
  for (Seen& one : seen) one.used_bytes = use_.tree_bytes(one.pid, one.kind);
  std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    const auto found = std::ranges::find_if(seen, [&](const Seen& one) { return one.entry == &entry; });
    if (found == seen.end() || found->pid != entry.pid) continue;
    entry.used_bytes = found->used_bytes;
    entry.peak_bytes = std::max(entry.peak_bytes, entry.used_bytes);
    if (entry.used_bytes <= entry.promised_bytes || std::exchange(entry.was_warned, true)) continue;
    log::warn("{} uses {}, more than the {} it reserved", entry.name, format_bytes(entry.used_bytes),
              format_bytes(entry.promised_bytes));
  }
}

Promise Neighbours::promise(std::string_view pool) const {
  std::lock_guard lock(mutex_);
  Promise sum;
  for (const Entry& entry : entries_) {
    if (entry.pool != pool) continue;
    sum.bytes += entry.promised_bytes;
    sum.taken_bytes += std::min(entry.promised_bytes, entry.used_bytes);
  }
  return sum;
}

std::vector<Neighbours::Neighbour> Neighbours::list() const {
  std::lock_guard lock(mutex_);
  return {entries_.begin(), entries_.end()};
}

}  // namespace hearth::governor
