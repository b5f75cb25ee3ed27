#include "runtime/generate/stats.h"

#include <algorithm>
#include <chrono>
#include <numeric>

namespace hearth {

Histogram::Histogram(std::vector<double> bounds) {
  data_.counts.assign(bounds.size() + 1, 0);
  data_.bounds = std::move(bounds);
}

void Histogram::add(double value) {
  std::lock_guard lock(mutex_);
  auto bucket = std::lower_bound(data_.bounds.begin(), data_.bounds.end(), value) - data_.bounds.begin();
  ++data_.counts[bucket];
  data_.sum += value;
}

EngineStats::Histogram Histogram::read() const {
  std::lock_guard lock(mutex_);
  EngineStats::Histogram out = data_;  // kept per bucket, reported as "at or below"
  std::partial_sum(out.counts.begin(), out.counts.end(), out.counts.begin());
  return out;
}

void StatsBook::read(EngineStats& out) const {
  out.requests = requests;
  out.failed = failed;
  out.cancelled = cancelled;
  out.preempted = preempted;
  out.prompt_tokens = prompt_tokens;
  out.cached_tokens = cached_tokens;
  out.generated_tokens = generated_tokens;
  out.steps = steps;
  out.queue_s = queue_s.read();
  out.first_token_s = first_token_s.read();
  out.token_s = token_s.read();
  out.request_s = request_s.read();
}

double steady_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace hearth
