// hearth plan: what models would need and how fast they could be at best, before anything is downloaded or loaded.
#include "commands.h"
#include "plan_desk.h"
#include "plan_flags.h"

namespace hearth::app {
namespace {

// Made when the command runs.
struct Planning {
  explicit Planning(const Common& common)
      : config(read_config(common.config_file, {})),
        here(config, choose_device("auto", thread_count(config)), thread_count(config), nullptr),
        desk(plan_desk(config, here, /*opens_paths=*/true)) {}
  const config::Config config;
  MachineHere here;
  const planner::Desk desk;
};

}  // namespace

Action add_plan(CLI::App& app, Common& common) {
  auto planning = std::make_shared<std::unique_ptr<Planning>>();
  return add_plan_flags(app, [planning, &common]() -> const planner::Desk& {
    *planning = std::make_unique<Planning>(common);
    return (*planning)->desk;
  });
}

}  // namespace hearth::app
