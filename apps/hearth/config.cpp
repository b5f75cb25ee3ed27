// hearth config: check, show, get, example.
#include <algorithm>
#include <iostream>

#include <fmt/ranges.h>

#include "commands.h"
#include "config/render.h"
#include "config_check.h"
#include "core/base/nearest.h"
#include "host.h"

namespace hearth::app {
namespace {

int check(const Common& common) {
  const config::Config config = read_config(common.config_file, {});
  const std::vector<std::string> problems = check_references(config);
  if (!problems.empty()) throw Error(Code::kInvalidArgument, fmt::format("{}", fmt::join(problems, "\n")));
  check_names_are_distinct(known_models(config)).value();
  std::cout << (config.file.empty() ? "no configuration file; the defaults are used" : config.file.string() + ": ok")
            << '\n';
  return 0;
}

// One value as it is, secrets too, for scripts.
int get(const Common& common, const std::string& key) {
  const config::Config config = read_config(common.config_file, {});
  std::vector<std::string> keys;
  for (const config::Effective& value : config.effective) {
    keys.push_back(value.path);
    if (value.path != key) continue;
    std::cout << value.text << '\n';
    return 0;
  }
  const std::string nearest = nearest_name(key, keys);
  throw Error(Code::kInvalidArgument, fmt::format("no value '{}'{}; `hearth config show` lists them", key,
                                                  nearest.empty() ? "" : ", did you mean '" + nearest + "'?"));
}

}  // namespace

Action add_config(CLI::App& app, Common& common) {
  app.require_subcommand(1);
  auto key = std::make_shared<std::string>();
  CLI::App* check_command = app.add_subcommand("check", "Read the configuration; say what is wrong and where");
  CLI::App* show_command = app.add_subcommand("show", "Print every effective value and where it came from");
  CLI::App* get_command = app.add_subcommand("get", "Print one effective value as it is, for scripts");
  get_command->add_option("key", *key, "Such as server.port")->required();
  app.add_subcommand("example", "Print a hearth.toml with every field, its meaning and default");
  return [=, &common] {
    if (check_command->parsed()) return check(common);
    if (get_command->parsed()) return get(common, *key);
    std::cout << (show_command->parsed() ? config::show(read_config(common.config_file, {})) : config::example());
    return 0;
  };
}

}  // namespace hearth::app
