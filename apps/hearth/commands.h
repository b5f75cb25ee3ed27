// The subcommands. Each registers its options on a CLI11 subcommand and returns what runs when it was chosen; the
// return value is the process's exit code. Errors travel as Error to main.
#pragma once
#include <functional>

#include <CLI/CLI.hpp>

namespace hearth::app {

/// Options every subcommand shares.
struct Common {
  std::string config_file;
  std::string log_level = "info";
};

using Action = std::function<int()>;

Action add_serve(CLI::App& app, Common& common);
Action add_chat(CLI::App& app, Common& common);
Action add_imagine(CLI::App& app, Common& common);
Action add_workflow(CLI::App& app, Common& common);
Action add_pull(CLI::App& app, Common& common);
Action add_plan(CLI::App& app, Common& common);
Action add_models(CLI::App& app, Common& common);
Action add_config(CLI::App& app, Common& common);
Action add_doctor(CLI::App& app, Common& common);
Action add_info(CLI::App& app, Common& common);
Action add_bench(CLI::App& app, Common& common);
Action add_top(CLI::App& app, Common& common);
Action add_reserve(CLI::App& app, Common& common);

}  // namespace hearth::app
