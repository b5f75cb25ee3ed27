#include "runtime/executor/plan_slice.h"

#include <limits>
#include <tuple>

namespace hearth {
namespace {

auto rank(const WaitingStep& step) {
  return std::make_tuple(step.work_class, step.deadline_s.value_or(std::numeric_limits<double>::infinity()),
                         step.lane_served_s, step.arrival);
}

}  // namespace

std::optional<size_t> plan_slice(std::span<const WaitingStep> waiting) {
  std::optional<size_t> best;
  for (size_t i = 0; i < waiting.size(); ++i) {
    if (!best || rank(waiting[i]) < rank(waiting[*best])) best = i;
  }
  return best;
}

}  // namespace hearth
