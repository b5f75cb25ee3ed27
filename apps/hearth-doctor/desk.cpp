#include "desk.h"

#include <algorithm>
#include <thread>

#include "machine/cgroup.h"
#include "planner/catalogue/catalogue.h"
#include "planner/cost/this_machine.h"

namespace hearth::app {
namespace {

using planner::Catalogue;
using planner::Machines;

// A GPU wherever the driver states one: the server that comes later may use it.
Machines machines_here() {
  const planner::Processors processors{static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u)),
                                       machine::read_cpu_quota()};
  const Caps cpu = cpu_caps(processors.threads);
  RawAllocator memory({DeviceKind::kCpu});
  const planner::Rates rates = planner::measure_rates(cpu, processors, memory);
  const auto gpu = planner::options_of_gpus(machine::read_gpus());
  return planner::these_machines(gpu.value_or(planner::ThisMachineOptions{.caps = cpu}), processors, rates,
                                 Catalogue::built_in());
}

}  // namespace

const planner::Desk& desk_alone() {
  static const planner::Desk desk{
      .shelf = {.opens_paths = true},
      .machines = [](const std::string& name) -> Result<Machines> {
        return name == "this" ? machines_here() : Catalogue::built_in().machines(name);
      }};
  return desk;
}

}  // namespace hearth::app
