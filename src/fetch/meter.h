// Turns counted bytes into Progress reports: a smoothed rate, the time left, at most ten reports a second.
#pragma once
#include <chrono>
#include <string>

#include "fetch/progress.h"

namespace hearth::fetch {

class Meter {
 public:
  /// `sink` must outlive the meter.
  Meter(ProgressSink& sink, std::string file, int64_t total_bytes);
  /// Bytes that were there before count as done but not for the rate.
  void set_done(int64_t bytes) { progress_.done_bytes = mark_bytes_ = bytes; }
  void set_total(int64_t bytes) { progress_.total_bytes = bytes; }
  void add(int64_t bytes);
  /// Sends the last report, at whatever time.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void report();

  ProgressSink& sink_;
  Progress progress_;
  Clock::time_point mark_time_, last_report_;
  int64_t mark_bytes_ = 0;
};

}  // namespace hearth::fetch
