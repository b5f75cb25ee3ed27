// StatsBook: the engine's counters and latency histograms. Thread-safe.
#pragma once
#include <atomic>
#include <mutex>

#include "runtime/request.h"

namespace hearth {

class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);
  void add(double value);
  EngineStats::Histogram read() const;

 private:
  mutable std::mutex mutex_;
  EngineStats::Histogram data_;
};

struct StatsBook {
  std::atomic<uint64_t> requests{0}, failed{0}, cancelled{0}, prompt_tokens{0}, cached_tokens{0}, generated_tokens{0},
      steps{0}, preempted{0};
  Histogram queue_s{{0.001, 0.01, 0.1, 0.5, 1, 5, 10, 60}};
  Histogram first_token_s{{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}};
  Histogram token_s{{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1}};
  Histogram request_s{{0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300}};

  /// Copies the counters into `out`.
  void read(EngineStats& out) const;
};

/// Seconds on the steady clock.
double steady_s();

}  // namespace hearth
