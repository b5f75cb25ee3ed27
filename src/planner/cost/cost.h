// Cost: how fast a phase could run at best on a machine, which limit binds, and what it costs in energy. A roofline:
// no machine runs faster than its arithmetic and its memory allow; how near this program comes is measured elsewhere.
// Pure.
#pragma once
#include <string>
#include <vector>

#include "planner/fit/machine.h"
#include "planner/measure/subject.h"

namespace hearth::planner {

struct Bound {
  std::string phase;
  double seconds = 0;        // not less than this
  double op_seconds = 0;     // the same when no two ops are fused, as in this build
  double flops = 0, bytes = 0, op_bytes = 0, units = 1;
  bool is_compute_bound = false;
  Math math = Math::kF16;    // the arithmetic whose ceiling was taken
  double joules = 0;         // at the machine's working power for that long
  double per_second() const { return seconds > 0 ? units / seconds : 0; }
  /// "memory bandwidth, 230 GB/s" or "fp16 arithmetic, 91.5 TFLOP/s".
  std::string limit;
};

/// A ceiling that is not known is taken from the next wider arithmetic; seconds stay 0 when none is known.
Bound bound(const Phase& phase, const Machine& machine);
std::vector<Bound> bounds(const std::vector<Phase>& phases, const Machine& machine);

/// Money for energy, at a price for a kilowatt-hour.
double price(double joules, double per_kwh);

std::string_view name(Math math);

}  // namespace hearth::planner
