#include "planner/cost/cost.h"

#include <algorithm>

#include <fmt/format.h>

namespace hearth::planner {
namespace {

// The nearest arithmetic whose ceiling is known, from the narrowest the phase allows to wider ones.
Math known_math(Math wanted, const Machine& machine) {
  for (int at = static_cast<int>(wanted); at >= 0; --at) {
    const Math math = static_cast<Math>(at);
    if (math == Math::kI8 && wanted != Math::kI8) continue;  // floats do not run as integers
    if (machine.flops[static_cast<size_t>(at)] > 0) return math;
  }
  return wanted;
}

}  // namespace

std::string_view name(Math math) {
  switch (math) {
    case Math::kF32: return "fp32";
    case Math::kF16: return "fp16";
    case Math::kI8: return "int8";
    case Math::kF8: return "fp8";
    case Math::kF4: return "fp4";
  }
  return "?";
}

Bound bound(const Phase& phase, const Machine& machine) {
  Bound out{.phase = phase.name, .flops = phase.flops, .bytes = phase.bytes, .op_bytes = phase.op_bytes,
            .units = phase.units};
  out.math = known_math(phase.math, machine);
  const double rate = machine.flops[static_cast<size_t>(out.math)];
  const double computing = rate > 0 ? phase.flops / rate : 0;
  if (machine.bandwidth > 0) out.op_seconds = phase.op_bytes / machine.bandwidth;
  const double reading = machine.bandwidth > 0 ? phase.bytes / machine.bandwidth : 0;
  out.is_compute_bound = computing > reading;
  out.seconds = std::max(computing, reading);
  out.op_seconds = std::max(out.op_seconds, out.seconds);
  out.joules = out.seconds * machine.power_w;
  out.limit = out.is_compute_bound ? fmt::format("{} arithmetic, {:.3g} TFLOP/s", name(out.math), rate / 1e12)
                                   : fmt::format("memory bandwidth, {:.4g} GB/s", machine.bandwidth / 1e9);
  return out;
}

std::vector<Bound> bounds(const std::vector<Phase>& phases, const Machine& machine) {
  std::vector<Bound> out;
  for (const Phase& phase : phases) out.push_back(bound(phase, machine));
  return out;
}

double price(double joules, double per_kwh) { return joules / 3.6e6 * per_kwh; }

}  // namespace hearth::planner
