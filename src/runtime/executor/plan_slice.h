// plan_slice: which waiting step runs next. Pure: everything it looks at is an argument.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

namespace hearth {

/// Lower runs first. A step of a higher class may run inside a lower one: between its blocks and in the middle of its
/// ops.
enum class WorkClass : uint8_t { kInteractive, kBatch, kBackground };

/// A second of the device counts for more in a class that shall get less of it. Beside a chat that never pauses,
/// pictures keep three fifths of the device: a token is a few milliseconds of work, and nobody reads faster.
constexpr double counted_s(WorkClass work_class, double seconds) {
  return work_class == WorkClass::kInteractive ? 1.5 * seconds : seconds;
}

struct WaitingStep {
  WorkClass work_class = WorkClass::kBatch;
  int lane = 0;
  double lane_served_s = 0;               // counted device time this lane has had lately
  std::optional<double> deadline_s;       // on the executor's clock
  uint64_t arrival = 0;                   // order of arrival
};

/// Index of the step to run: highest class, unless its lane is ahead of one of a lower class that waits too; then
/// earliest deadline, then the lane that has had least, then first come. Nothing when `waiting` is empty.
std::optional<size_t> plan_slice(std::span<const WaitingStep> waiting);

}  // namespace hearth
