#include "governor/pressure/gauge.h"

#include <utility>

namespace hearth::governor {

Gauge::Gauge(machine::Root root, bool has_integrated_gpu, Listener listener, std::chrono::milliseconds interval)
    : root_(std::move(root)), has_integrated_gpu_(has_integrated_gpu), listener_(std::move(listener)),
      interval_(interval), latest_(look()), thread_([this](const std::stop_token& stop) { run(stop); }) {}

Gauge::~Gauge() = default;

Reading Gauge::look() const {
  const std::chrono::duration<double> since = std::chrono::steady_clock::now() - begun_;
  return take_reading(root_, has_integrated_gpu_, since.count());
}

Reading Gauge::latest() const {
  std::lock_guard lock(mutex_);
  return latest_;
}

void Gauge::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const Reading reading = look();
    {
      std::lock_guard lock(mutex_);
      latest_ = reading;
    }
    listener_(reading);
    std::unique_lock lock(mutex_);
    wakeup_.wait_for(lock, stop, interval_, [] { return false; });
  }
}

}  // namespace hearth::governor
