#include "config_check.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "core/base/nearest.h"
#include "fetch/store/store.h"
#include "text/template/template.h"

namespace hearth::app {
namespace {

namespace fs = std::filesystem;

class Checker {
 public:
  explicit Checker(const config::Config& config)
      : config_(config),
        store_(config.memory.models_dir.empty() ? fetch::Store() : fetch::Store(config.memory.models_dir)) {}

  std::vector<std::string> run() {
    check_store();
    for (const config::ModelProfile& profile : config_.models) {
      check_model(profile);
      check_chat_template(profile);
    }
    check_default_model();
    return std::move(problems_);
  }

 private:
  void check_store() {
    const fs::path& folder = config_.memory.models_dir;
    std::error_code ignored;
    if (!folder.empty() && fs::exists(folder, ignored) && !fs::is_directory(folder, ignored)) {
      return complain("memory.models_dir", folder.string(), "is no folder; name the folder of the model store");
    }
    Result<std::vector<fetch::StoredModel>> stored = store_.list();
    if (!stored) return complain("memory.models_dir", store_.root().string(), stored.error().message());
    for (const fetch::StoredModel& model : *stored) stored_.push_back(model.name);
  }

  void check_model(const config::ModelProfile& profile) {
    if (!profile.path.empty()) {
      std::error_code unreadable;
      if (fs::exists(profile.path, unreadable)) return;
      return complain(key_of(profile, "path"), profile.path.string(),
                      "is not there; name a .gguf file or a Hugging Face folder, or leave path out and "
                      "`hearth pull` the model under this name");
    }
    if (std::find(stored_.begin(), stored_.end(), profile.name) != stored_.end()) return;
    const std::string nearest = nearest_name(profile.name, stored_);
    complain(fmt::format("models.\"{}\"", profile.name), "",
             fmt::format("has no path and is not in the model store {}; set its path, or get it with `hearth pull ... "
                         "--as {}`{}",
                         store_.root().string(), profile.name,
                         nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest)));
  }

  void check_chat_template(const config::ModelProfile& profile) {
    if (profile.chat_template.empty()) return;
    const std::string key = key_of(profile, "chat_template");
    const std::string path = profile.chat_template.string();
    std::ifstream file(profile.chat_template, std::ios::binary);
    if (std::error_code ignored; !file || fs::is_directory(profile.chat_template, ignored)) {
      return complain(key, path, "cannot be read; name a Jinja file, or leave it out for the model's own template");
    }
    auto parsed = text::Template::parse(std::string(std::istreambuf_iterator<char>(file), {}));
    if (!parsed) complain(key, path, fmt::format("does not parse: {}; correct the file", parsed.error().message()));
  }

  void check_default_model() {
    const std::string& wanted = config_.llm.default_model;
    if (wanted.empty()) return;
    std::vector<std::string> names = stored_;
    for (const config::ModelProfile& profile : config_.models) {
      names.push_back(profile.name);
      names.insert(names.end(), profile.alias.begin(), profile.alias.end());
    }
    if (std::find(names.begin(), names.end(), wanted) != names.end()) return;
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    const std::string there =
        names.empty() ? "there are no models; get one with `hearth pull`"
                      : fmt::format("take one of these: {}; or get it with `hearth pull`", fmt::join(names, ", "));
    complain("llm.default_model", wanted, "is no model or alias; " + there);
  }

  static std::string key_of(const config::ModelProfile& profile, std::string_view key) {
    return fmt::format("models.\"{}\".{}", profile.name, key);
  }

  void complain(const std::string& key, const std::string& value, const std::string& what) {
    const auto at = std::find_if(config_.effective.begin(), config_.effective.end(),
                                 [&](const config::Effective& effective) { return effective.path == key; });
    const std::string place = at != config_.effective.end() ? at->origin : config_.file.filename().string();
    problems_.push_back(fmt::format("{}: {} {}{}", place, key, value.empty() ? "" : "'" + value + "' ", what));
  }

  const config::Config& config_;
  fetch::Store store_;
  std::vector<std::string> stored_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> check_references(const config::Config& config) { return Checker(config).run(); }

}  // namespace hearth::app
