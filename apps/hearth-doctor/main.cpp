// hearth-doctor: the doctor and the planner alone, as one static program that can be copied to a machine before
// anything else. Without a subcommand it runs the checks; `hearth doctor` and `hearth plan` have the same flags.
#include <functional>
#include <iostream>
#include <vector>

#include <CLI/CLI.hpp>

#include "../hearth/doctor_flags.h"
#include "../hearth/plan_flags.h"
#include "core/base/error.h"
#include "desk.h"

using namespace hearth;

int main(int argc, char** argv) {
  CLI::App app{"hearth-doctor: what is wrong with this machine for inference, and what mends it.", "hearth-doctor"};
  app.set_version_flag("--version", "hearth-doctor " HEARTH_VERSION);
  app.get_formatter()->column_width(34);
  const app::DoctorDefaults defaults = {.options = [] { return doctor::Options(); },
                                        .sheet = [] { return doctor::Sheet{.hearth_version = HEARTH_VERSION}; }};
  const std::function<int()> examine = app::add_doctor_flags(app, defaults);
  struct Command {
    CLI::App* parser;
    std::function<int()> run;
  };
  std::vector<Command> commands;
  auto add = [&](const char* name, const char* help, auto add_flags) {
    CLI::App* parser = app.add_subcommand(name, help);
    commands.push_back({parser, add_flags(*parser)});
  };
  add("info", "Print the machine sheet: addresses, GPU, memory, versions",
      [&](CLI::App& parser) { return app::add_info_flags(parser, defaults); });
  add("plan", "Say what models would need and how fast they could be; --table: what fits in 128 GB",
      [](CLI::App& parser) { return app::add_plan_flags(parser, app::desk_alone); });

  try {
    app.parse(argc, argv);
    for (const Command& command : commands) {
      if (command.parser->parsed()) return command.run();
    }
    return examine();
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const Error& e) {
    std::cerr << "hearth-doctor: " << e.message() << '\n';
    return e.code() == Code::kInvalidArgument ? 2 : 1;
  } catch (const std::exception& e) {
    std::cerr << "hearth-doctor: " << e.what() << '\n';
    return 1;
  }
}
