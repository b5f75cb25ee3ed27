#include "desk.h"

#include <algorithm>
#include <thread>

#include "planner/catalogue/catalogue.h"
#include "planner/cost/this_machine.h"

namespace hearth::app {
namespace {

using planner::Catalogue;
using planner::Machine;

// A GPU wherever the driver states one: the server that comes later may use it.
Machine machine_here() {
  if (const auto gpu = planner::options_of_gpus(machine::read_gpus())) {
    return planner::this_machine(*gpu, Catalogue::built_in());
  }
  const int threads = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u));
  RawAllocator memory({DeviceKind::kCpu});
  return planner::this_machine({.caps = cpu_caps(threads), .threads = threads,
                                .rates = planner::measure_rates(cpu_caps(threads), threads, memory)},
                               Catalogue::built_in());
}

}  // namespace

const planner::Desk& desk_alone() {
  static const planner::Desk desk{
      .shelf = {.opens_paths = true},
      .machine = [](const std::string& name, bool) -> Result<Machine> {
        if (name == "this") return machine_here();
        return Catalogue::built_in().machine(name);
      }};
  return desk;
}

}  // namespace hearth::app
