// Neighbours: other programs on this machine that were promised memory (hearth reserve). Each holds a lease; what it
// was promised and has not taken yet the host still calls available, so it is subtracted before anything else grows.
// Thread-safe.
#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "governor/budget/budget.h"
#include "machine/root.h"

namespace hearth::governor {

/// Resident bytes of a process and of all that it started, directly or not; 0 when it is gone.
int64_t process_tree_bytes(int pid, const machine::Root& root = {});

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

  explicit Neighbours(machine::Root root = {}) : root_(std::move(root)) {}
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
  const machine::Root root_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;
};

}  // namespace hearth::governor
