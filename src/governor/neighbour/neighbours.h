// Neighbours: other programs on this machine that were promised memory (hearth reserve). Each holds a lease; what it
// was promised and has not taken yet the host still calls available, so it is subtracted before anything else grows.
// Thread-safe.
#pragma once
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "governor/budget/budget.h"
#include "machine/root.h"

namespace hearth::governor {

/// A process and all that it started, directly or not; empty when it is gone.
std::vector<int> process_tree(int pid, const machine::Root& root = {});

/// Whose memory a pool is: the machine's, the machine's with a GPU that shares it, or a GPU's own.
enum class PoolKind { kHost, kShared, kDevice };

/// What processes hold of a pool's memory: what is resident, and what the driver took for them, which on a machine
/// whose GPU shares its memory counts as nobody's. The driver's tool is asked every two seconds at most. One thread.
class ProcessUse {
 public:
  /// `gpu` is a PCI bus address, such as 0000:01:00.0; empty: any GPU.
  explicit ProcessUse(machine::Root root = {}, std::string gpu = {}) : root_(std::move(root)), gpu_(std::move(gpu)) {}
  /// Of the tree below `pid`.
  int64_t tree_bytes(int pid, PoolKind kind);

 private:
  void ask_driver();

  const machine::Root root_;
  const std::string gpu_;
  std::map<int, int64_t> gpu_bytes_;  // by process
  std::chrono::steady_clock::time_point next_ask_{};
};

class Neighbours {
 public:
  struct Neighbour {
    std::string name, pool;
    int64_t promised_bytes = 0;
    int pid = 0;                // 0: unknown, its use cannot be seen
    int64_t used_bytes = 0;     // at the last look
    int64_t peak_bytes = 0;
    bool was_warned = false;    // it took more than it was promised
  };

  /// `gpu` as ProcessUse takes it.
  explicit Neighbours(machine::Root root = {}, std::string gpu = {}) : use_(std::move(root), std::move(gpu)) {}
  /// The promise holds until the handle goes; `lease`, of the pool of that name, is given back then. The handle may
  /// outlive nothing else here.
  std::shared_ptr<void> add(Lease lease, std::string pool, PoolKind kind, std::string name, int pid);
  /// Reads what each uses now, and logs who went beyond its promise.
  void look();
  /// What is promised of a pool, and what of it was taken by the last look.
  Promise promise(std::string_view pool) const;
  std::vector<Neighbour> list() const;

 private:
  struct Entry : Neighbour {
    PoolKind kind = PoolKind::kHost;
    Lease lease;
  };
  std::mutex use_mutex_;  // taken first; held while the driver's tool answers
  ProcessUse use_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;
};

}  // namespace hearth::governor
