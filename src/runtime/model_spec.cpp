#include "runtime/model_spec.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace hearth {
namespace {

std::string described(const ModelSpec& model, const std::string& name) {
  const std::string what = name == model.load.name ? "" : fmt::format(", an alias of '{}'", model.load.name);
  return model.load.path + what;
}

}  // namespace

bool ModelSpec::answers_to(const std::string& name) const {
  return load.name == name || std::find(aliases.begin(), aliases.end(), name) != aliases.end();
}

Result<void> check_names_are_distinct(const std::vector<ModelSpec>& models) {
  std::map<std::string, const ModelSpec*> owners;
  for (const ModelSpec& model : models) {
    std::vector<std::string> names = model.aliases;
    names.push_back(model.load.name);
    for (const std::string& name : names) {
      const ModelSpec* owner = owners.emplace(name, &model).first->second;
      if (owner == &model) continue;
      return unexpected(Code::kInvalidArgument,
                        fmt::format("two models are called '{}': {} and {}; give one of them a name of its own with "
                                    "[models.\"NAME\"] and its path in hearth.toml, or leave one out",
                                    name, described(*owner, name), described(model, name)));
    }
  }
  return {};
}

}  // namespace hearth
