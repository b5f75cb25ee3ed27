// Gauge: looks at the host's memory every 100 ms on a thread of its own and tells one listener. The listener is called
// on that thread and must not wait for long: the next look is late by as much.
#pragma once
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

#include "governor/pressure/floors.h"

namespace hearth::governor {

class Gauge {
 public:
  using Listener = std::function<void(const Reading&)>;
  static constexpr std::chrono::milliseconds kInterval{100};

  /// Begins at once. `root` is where readings come from.
  Gauge(machine::Root root, bool has_integrated_gpu, Listener listener, std::chrono::milliseconds interval = kInterval);
  ~Gauge();

  /// A fresh look, now, by the caller's thread.
  Reading look() const;
  /// The last one that the listener heard of.
  Reading latest() const;

 private:
  void run(const std::stop_token& stop);

  const machine::Root root_;
  const bool has_integrated_gpu_;
  const Listener listener_;
  const std::chrono::milliseconds interval_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  mutable std::mutex mutex_;
  std::condition_variable_any wakeup_;
  Reading latest_;
  std::jthread thread_;  // last: it uses everything above
};

}  // namespace hearth::governor
