// hearth config: check, show, example.
#include <iostream>

#include "commands.h"
#include "config/render.h"
#include "host.h"

namespace hearth::app {

Action add_config(CLI::App& app, Common& common) {
  app.require_subcommand(1);
  CLI::App* check = app.add_subcommand("check", "Read the configuration; say what is wrong and where");
  CLI::App* show = app.add_subcommand("show", "Print every effective value and where it came from");
  app.add_subcommand("example", "Print a hearth.toml with every field, its meaning and default");
  return [check, show, &common] {
    if (check->parsed()) {
      config::Config config = read_config(common.config_file, {});
      std::cout << (config.file.empty() ? "no configuration file; the defaults are used" : config.file.string() + ": ok")
                << '\n';
    } else if (show->parsed()) {
      std::cout << config::show(read_config(common.config_file, {}));
    } else {
      std::cout << config::example();
    }
    return 0;
  };
}

}  // namespace hearth::app
