#include "fetch/meter.h"

#include <utility>

namespace hearth::fetch {
namespace {

constexpr std::chrono::milliseconds kReportEvery{100};
constexpr double kRateWindowSeconds = 1.0;
constexpr double kNewRateShare = 0.3;  // of each window in the smoothed rate

}  // namespace

Meter::Meter(ProgressSink& sink, std::string file, int64_t total_bytes)
    : sink_(sink), mark_time_(Clock::now()), last_report_(mark_time_ - kReportEvery) {
  progress_.file = std::move(file);
  progress_.total_bytes = total_bytes;
}

void Meter::add(int64_t bytes) {
  progress_.done_bytes += bytes;
  auto now = Clock::now();
  double window = std::chrono::duration<double>(now - mark_time_).count();
  if (window >= kRateWindowSeconds) {
    double rate = static_cast<double>(progress_.done_bytes - mark_bytes_) / window;
    double& smooth = progress_.bytes_per_second;
    smooth = smooth > 0 ? smooth + kNewRateShare * (rate - smooth) : rate;
    mark_time_ = now;
    mark_bytes_ = progress_.done_bytes;
  }
  if (now - last_report_ < kReportEvery) return;
  last_report_ = now;
  report();
}

void Meter::finish() { report(); }

void Meter::report() {
  int64_t left = progress_.total_bytes - progress_.done_bytes;
  bool is_known = progress_.total_bytes >= 0 && progress_.bytes_per_second > 0;
  progress_.seconds_left = is_known ? static_cast<double>(left) / progress_.bytes_per_second : -1;
  sink_.on_progress(progress_);
}

}  // namespace hearth::fetch
