// hearth info: the machine sheet, with the models of the store.
#include "commands.h"
#include "doctor_defaults.h"
#include "fetch/store/store.h"
#include "host.h"

namespace hearth::app {
namespace {

fetch::Store store_of(const Common& common) {
  const config::Config config = read_config(common.config_file, {});
  return config.memory.models_dir.empty() ? fetch::Store() : fetch::Store(config.memory.models_dir);
}

}  // namespace

DoctorDefaults configured_defaults(Common& common) {
  return {.options = [&common] {
            const config::Config config = read_config(common.config_file, {});
            return doctor::Options{.models_dir = store_of(common).root().string(), .port = config.server.port};
          },
          .sheet = [&common] {
            doctor::Sheet sheet{.hearth_version = HEARTH_VERSION};
            const Result<std::vector<fetch::StoredModel>> models = store_of(common).list();
            if (!models) return sheet;  // the store may not be there yet
            for (const fetch::StoredModel& model : *models) sheet.models.push_back({model.name, model.bytes()});
            return sheet;
          }};
}

Action add_info(CLI::App& app, Common& common) { return add_info_flags(app, configured_defaults(common)); }

}  // namespace hearth::app
