#include "planner/fit/machine.h"

#include <algorithm>

#include <fmt/format.h>

#include "governor/budget/budget.h"
#include "governor/pressure/floors.h"

namespace hearth::planner {

int64_t Machine::budget_bytes() const {
  const int64_t one = memory_bytes / std::max<int64_t>(count, 1);
  int64_t budget = 0;
  if (is_unified) {
    machine::HostMemory memory{.total_bytes = one};
    if (cgroup_bytes > 0) memory.cgroup_limit_bytes = cgroup_bytes;
    budget = governor::host_budget_bytes(memory, {configured_bytes, reserve_bytes});
    // A GPU in the same memory: what it takes cannot be reclaimed, so more stays free.
    if (caps.is_integrated && reserve_bytes <= 0) budget = std::min(budget, one - governor::reserve_for(one));
  } else {
    budget = one - one / 50;  // the card's own, as serving takes it
    if (configured_bytes > 0) budget = std::min(budget, configured_bytes);
  }
  return std::max<int64_t>(budget - driver_bytes, 0) * count;
}

Machine Machine::times(int64_t n) const {
  if (n == 1) return *this;
  Machine many = *this;
  many.count = count * n;
  many.memory_bytes *= n;
  for (double& rate : many.flops) rate *= static_cast<double>(n);
  many.bandwidth *= static_cast<double>(n);
  many.power_w *= static_cast<double>(n);
  many.name = fmt::format("{} x {}", n, name);
  return many;
}

}  // namespace hearth::planner
