// The hearth binary: subcommands, flags and exit codes only. 0 success, 1 the work failed, 2 wrong usage.
#include <iostream>

#include "commands.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/nearest.h"

using namespace hearth;

namespace {

// CLI11 says of a misspelt command only that one is required.
int wrong_usage(const CLI::App& app, const CLI::ParseError& e) {
  const std::vector<std::string> words = app.remaining();
  if (dynamic_cast<const CLI::RequiredError*>(&e) == nullptr || words.empty() || !app.get_subcommands().empty()) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  const std::string nearest = nearest_name(words.front(), commands);
  std::cerr << "hearth: unknown command '" << words.front() << '\'';
  std::cerr << (nearest.empty() ? "; `hearth --help` lists those there are" : ", did you mean '" + nearest + "'?")
            << '\n';
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Hearth: a native inference server for machines whose CPU and GPU share one memory.", "hearth"};
  app.set_version_flag("--version", "hearth " HEARTH_VERSION);
  app.require_subcommand(1);
  app.fallthrough();  // --config and --log-level are taken behind a subcommand too
  app.get_formatter()->column_width(34);
  app::Common common;
  app.add_option("--config", common.config_file, "Configuration file (default: ./hearth.toml, then ~/.config/hearth)");
  app.add_option("--log-level", common.log_level, "trace, debug, info, warn, error or off")->capture_default_str();

  struct Command {
    const char* name;
    const char* help;
    app::Action (*add)(CLI::App&, app::Common&);
    CLI::App* parser = nullptr;
    app::Action action = {};
  } commands[] = {
      {"serve", "Serve models over the OpenAI and ComfyUI APIs", app::add_serve},
      {"chat", "Talk to a model in the terminal", app::add_chat},
      {"imagine", "Draw a picture, or a batch of them, from words", app::add_imagine},
      {"workflow", "Check and run ComfyUI workflows", app::add_workflow},
      {"plan", "Say what models would need and how fast they could be", app::add_plan},
      {"pull", "Download or install a model", app::add_pull},
      {"models", "List, show and remove installed models", app::add_models},
      {"config", "Check, show or print an example configuration", app::add_config},
      {"doctor", "Say what is wrong with this machine and what mends it; explain an error", app::add_doctor},
      {"info", "Print the machine sheet: addresses, GPU, memory, models, versions", app::add_info},
      {"top", "Show what the running server holds in memory", app::add_top},
      {"reserve", "Hold memory for another program while it runs", app::add_reserve},
      {"bench", "Measure speed and quality", app::add_bench},
  };
  for (Command& command : commands) {
    command.parser = app.add_subcommand(command.name, command.help);
    command.action = command.add(*command.parser, common);
  }

  try {
    app.parse(argc, argv);
    if (!log::set_level(common.log_level)) {
      throw CLI::ValidationError("--log-level", "'" + common.log_level + "' is not one of trace, debug, info, warn, "
                                                "error, off");
    }
    for (const Command& command : commands) {
      if (command.parser->parsed()) return command.action();
    }
  } catch (const CLI::ParseError& e) {
    return wrong_usage(app, e);
  } catch (const Error& e) {
    std::cerr << "hearth: " << e.message() << '\n';
    return e.code() == Code::kInvalidArgument ? 2 : 1;
  } catch (const std::exception& e) {
    std::cerr << "hearth: " << e.what() << '\n';
    return 1;
  }
  return 0;
}
