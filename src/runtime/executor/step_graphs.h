// StepGraphs: the captured form of a lane's steps on CUDA. A step is captured once per key as a list of graphs, one per
// slice between two cuts, and replayed from then on; the first run of a key is eager, so that modules are loaded and
// algorithms picked before a capture. Least recently used keys leave first. Empty and unused on the CPU.
// Belongs to one lane; used on the executor's thread only.
#pragma once
#include <cstdint>
#include <list>
#include <vector>

#include "core/device/cuda.h"

namespace hearth {

class StepGraphs {
 public:
  static constexpr size_t kMaxKeys = 32;

  struct Entry {
    uint64_t key = 0;
    int eager_runs = 0;
    int64_t driver_bytes = 0;
    std::vector<cuda::Graph> slices;  // empty until captured
  };

  /// The entry of a key, made when absent; becomes the most recently used.
  Entry& entry(uint64_t key);
  void clear();
  size_t size() const { return entries_.size(); }

  /// Off: every step runs eagerly (comparisons, tracing).
  void set_enabled(bool on) { is_enabled_ = on; }
  bool is_enabled() const { return is_enabled_; }
  /// What the driver took for the graphs held now, as measured when each was captured.
  int64_t driver_bytes() const { return driver_bytes_; }
  void add_driver_bytes(Entry& entry, int64_t bytes);
  uint64_t replays() const { return replays_; }
  void count_replay() { ++replays_; }

 private:
  bool is_enabled_ = true;
  uint64_t replays_ = 0;
  int64_t driver_bytes_ = 0;
  std::list<Entry> entries_;  // least recently used first
};

}  // namespace hearth
