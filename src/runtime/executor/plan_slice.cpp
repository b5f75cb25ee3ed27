#include "runtime/executor/plan_slice.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace hearth {
namespace {

bool is_ahead(const WaitingStep& step, std::span<const WaitingStep> waiting) {
  return std::any_of(waiting.begin(), waiting.end(), [&](const WaitingStep& other) {
    return other.work_class > step.work_class && other.lane_served_s < step.lane_served_s;
  });
}

auto rank(const WaitingStep& step, std::span<const WaitingStep> waiting) {
  return std::make_tuple(is_ahead(step, waiting), step.work_class,
                         step.deadline_s.value_or(std::numeric_limits<double>::infinity()), step.lane_served_s,
                         step.arrival);
}

}  // namespace

std::optional<size_t> plan_slice(std::span<const WaitingStep> waiting) {
  std::optional<size_t> best;
  for (size_t i = 0; i < waiting.size(); ++i) {
    if (!best || rank(waiting[i], waiting) < rank(waiting[*best], waiting)) best = i;
  }
  return best;
}

}  // namespace hearth
