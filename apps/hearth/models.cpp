// hearth models: what is installed.
#include <iostream>

#include <fmt/format.h>

#include "commands.h"
#include "core/base/units.h"
#include "fetch/store/store.h"
#include "host.h"

namespace hearth::app {
namespace {

fetch::Store open_store(const Common& common) {
  config::Config config = read_config(common.config_file, {});
  return config.memory.models_dir.empty() ? fetch::Store() : fetch::Store(config.memory.models_dir);
}

int list(const Common& common) {
  fetch::Store store = open_store(common);
  std::vector<fetch::StoredModel> models = store.list().value();
  if (models.empty()) {
    std::cout << "no models in " << store.root().string() << "; get one with `hearth pull`\n";
    return 0;
  }
  std::cout << fmt::format("{:<28} {:>12}  {}\n", "NAME", "SIZE", "SOURCE");
  for (const auto& model : models) {
    std::cout << fmt::format("{:<28} {:>12}  {}\n", model.name, format_bytes(model.bytes()), model.source);
  }
  return 0;
}

int show(const Common& common, const std::string& name) {
  fetch::StoredModel model = open_store(common).find(name).value();
  std::cout << fmt::format("name     {}\nsource   {}\npath     {}\ninstalled {}\nlicence  {}\n", model.name,
                           model.source, model.path().string(), model.date,
                           model.license.empty() ? "unknown" : model.license);
  for (const auto& file : model.files) {
    std::cout << fmt::format("file     {}  {}  sha256 {}\n", file.name, format_bytes(file.bytes),
                             file.sha256.empty() ? "not known" : file.sha256);
  }
  return 0;
}

}  // namespace

Action add_models(CLI::App& app, Common& common) {
  auto name = std::make_shared<std::string>();
  app.require_subcommand(0, 1);
  app.add_subcommand("list", "Installed models (what `hearth models` alone shows)");
  CLI::App* show_command = app.add_subcommand("show", "Source, files and hashes of one model");
  show_command->add_option("name", *name, "Installed model")->required();
  CLI::App* remove_command = app.add_subcommand("remove", "Delete an installed model");
  remove_command->add_option("name", *name, "Installed model")->required();
  return [=, &common] {
    if (show_command->parsed()) return show(common, *name);
    if (!remove_command->parsed()) return list(common);
    open_store(common).remove(*name).value();
    std::cout << "removed " << *name << '\n';
    return 0;
  };
}

}  // namespace hearth::app
