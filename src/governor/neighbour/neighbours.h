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
#include <vector>

#include "governor/budget/budget.h"
#include "machine/root.h"

namespace hearth::governor {

/// A process and all that it started, directly or not; empty when it is gone.
std::vector<int> process_tree(int pid, const machine::Root& root = {});

/// What processes hold of the machine's memory: what is resident, and on a machine whose GPU shares it what the driver
/// took for them, which counts as nobody's there. The driver's tool is asked every two seconds at most. One thread.
class ProcessUse {
 public:
  explicit ProcessUse(machine::Root root = {}, bool has_integrated_gpu = false)
      : root_(std::move(root)), has_integrated_gpu_(has_integrated_gpu) {}
  /// Of the tree below `pid`.
  int64_t tree_bytes(int pid);

 private:
  void ask_driver();

  const machine::Root root_;
  const bool has_integrated_gpu_;
  std::map<int, int64_t> gpu_bytes_;  // by process
  std::chrono::steady_clock::time_point next_ask_{};
};

class Neighbours {
 public:
  struct Neighbour {
    std::string name;
    int64_t promised_bytes = 0;
    int pid = 0;                // 0: unknown, its use cannot be seen
    int64_t used_bytes = 0;     // at the last look
    int64_t peak_bytes = 0;
    bool was_warned = false;    // it took more than it was promised
  };

  explicit Neighbours(machine::Root root = {}, bool has_integrated_gpu = false)
      : use_(std::move(root), has_integrated_gpu) {}
  /// The promise holds until the handle goes; `lease` is given back then. The handle may outlive nothing else here.
  std::shared_ptr<void> add(Lease lease, std::string name, int pid);
  /// Reads what each uses now, and logs who went beyond its promise.
  void look();
  /// Promised and not yet taken, by the last look.
  int64_t promised_bytes() const;
  std::vector<Neighbour> list() const;

 private:
  struct Entry : Neighbour {
    Lease lease;
  };
  mutable std::mutex mutex_;
  ProcessUse use_;
  std::list<Entry> entries_;
};

}  // namespace hearth::governor
