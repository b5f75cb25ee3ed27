// plan_slice: which waiting step runs next. Pure: everything it looks at is an argument.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

namespace hearth {

/// Lower runs first. A step of a higher class may run inside a lower one at its cuts.
enum class WorkClass : uint8_t { kInteractive, kBatch, kBackground };

struct WaitingStep {
  WorkClass work_class = WorkClass::kBatch;
  int lane = 0;
  double lane_served_s = 0;               // device time this lane has had lately
  std::optional<double> deadline_s;       // on the executor's clock
  uint64_t arrival = 0;                   // order of arrival
};

/// Index of the step to run: highest class, then earliest deadline, then the lane that has had least, then first come.
/// Nothing when `waiting` is empty.
std::optional<size_t> plan_slice(std::span<const WaitingStep> waiting);

}  // namespace hearth
