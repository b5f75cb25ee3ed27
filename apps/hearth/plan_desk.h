// What plans on this machine are made from: the models that are installed, the machine itself, prices; by the
// configuration.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "host.h"
#include "planner/cost/this_machine.h"
#include "planner/report/answer.h"

namespace hearth::app {

/// This machine as plans see it. Thread-safe.
class MachineHere {
 public:
  /// `config` and `memory`, the CPU's, outlive this; null: memory of its own.
  MachineHere(const config::Config& config, DeviceChoice choice, int threads, Allocator* memory);

  /// The first call measures its CPU's rates, which are kept: it belongs before any work of this process.
  planner::Machines look();

 private:

  const config::Config& config_;
  const DeviceChoice choice_;
  const planner::Processors processors_;
  RawAllocator own_;
  Allocator& memory_;
  std::mutex mutex_;  // held while measuring
  std::optional<planner::Rates> rates_;
};

/// Everything installed has a name there, and so have `given`, as they are loaded; paths only if `opens_paths`.
/// `config` and `here` outlive the desk.
planner::Desk plan_desk(const config::Config& config, MachineHere& here, bool opens_paths,
                        std::vector<ModelSpec> given = {});

/// "Qwen3 4B as q4_k_m needs ...; get it with `hearth pull ...`": the best model of the catalogue that fits this
/// machine's budget and the `room` there is now, and the disk of the model store; "" when none does or something as
/// large is among `models`.
std::string suggested_model(const config::Config& config, MachineHere& here,
                            const std::vector<ModelSpec>& models, int64_t room);

}  // namespace hearth::app
