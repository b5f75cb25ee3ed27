#include "config_check.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/nearest.h"
#include "fetch/store/store.h"
#include "picture_host.h"
#include "runtime/diffuse/compute_options.h"
#include "runtime/diffuse/sampling/sampler.h"
#include "runtime/diffuse/sampling/schedule.h"
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
    check_folders();
    check_pictures();
    for (const config::Preset& preset : config_.presets) check_preset(preset);
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

  // What pictures are written into: a folder that can be, or can be made.
  void check_folders() {
    const config::Pictures& p = config_.pictures;
    for (const auto& [key, folder] : {std::pair<const char*, const fs::path&>{"pictures.input_dir", p.input_dir},
                                      {"pictures.output_dir", p.output_dir},
                                      {"pictures.temp_dir", p.temp_dir},
                                      {"pictures.user_dir", p.user_dir},
                                      {"pictures.models_dir", p.models_dir}}) {
      if (folder.empty()) continue;
      fs::path there = fs::absolute(folder);
      std::error_code ignored;
      while (!fs::exists(there, ignored) && there.has_parent_path() && there != there.parent_path()) {
        there = there.parent_path();
      }
      if (!fs::is_directory(there, ignored)) {
        complain(key, folder.string(),
                 there == fs::absolute(folder) ? "is no folder; name one"
                                               : "cannot be made: " + there.string() + " is no folder");
      } else if (::access(there.c_str(), W_OK | X_OK) != 0 && key != std::string_view("pictures.models_dir")) {
        complain(key, folder.string(), there == fs::absolute(folder)
                                           ? "cannot be written; let this user write there or name another folder"
                                           : "cannot be made: " + there.string() + " cannot be written by this user");
      }
    }
    std::error_code ignored;
    if (!p.frontend.empty() && !fs::is_regular_file(p.frontend / "index.html", ignored)) {
      complain("pictures.frontend", p.frontend.string(), "has no index.html; name the folder of a built frontend");
    }
  }

  void check_pictures() {
    const config::Pictures& p = config_.pictures;
    const size_t before = problems_.size();
    std::error_code ignored;
    if (!p.comfyui_dir.empty() && !fs::is_directory(p.comfyui_dir / "models", ignored)) {
      complain("pictures.comfyui_dir", p.comfyui_dir.string(), "has no folder models/; name the folder of a ComfyUI");
    }
    if (!p.extra_model_paths.empty()) {
      workflow::ModelFolders probe(".");
      if (Result<void> read = probe.add_yaml(p.extra_model_paths.string()); !read) {
        complain("pictures.extra_model_paths", p.extra_model_paths.string(),
                 "cannot be used: " + read.error().message());
      }
    }
    if (problems_.size() == before) check_default_checkpoint();
    check_compute("pictures", p.precision, p.attention, p.vae_tiling, p.vae_tile);
    std::vector<std::string> presets;
    for (const config::Preset& preset : config_.presets) presets.push_back(preset.name);
    check_name("pictures.default_preset", p.default_preset, presets, "preset");
  }

  void check_default_checkpoint() {
    const std::string& wanted = config_.pictures.default_model;
    if (wanted.empty() || fs::exists(wanted)) return;
    const workflow::Places places = places_named(config_.pictures);
    std::vector<std::string> names;
    for (const std::string& name : places.models.list("checkpoints")) {
      if (name == wanted || fs::path(name).stem() == wanted || fs::path(name).filename() == wanted) return;
      names.push_back(name);
    }
    std::vector<std::string> stems;
    for (const std::string& name : names) stems.push_back(fs::path(name).stem());
    const std::string nearest = nearest_name(fs::path(wanted).stem().string(), stems);
    complain("pictures.default_model", wanted,
             fmt::format("is no checkpoint of {}{}", fmt::join(places.models.folders("checkpoints"), ", "),
                         !nearest.empty()  ? "; did you mean '" + nearest + "'?"
                         : names.empty()   ? "; there are none, put one there"
                                           : fmt::format("; there are {}", fmt::join(names, ", "))));
  }

  void check_preset(const config::Preset& preset) {
    const std::string at = fmt::format("presets.\"{}\"", preset.name);
    if (preset.sampler) check_name(at + ".sampler", *preset.sampler, diffuse::sampler_names(), "sampler");
    if (preset.scheduler) check_name(at + ".scheduler", *preset.scheduler, diffuse::scheduler_names(), "scheduler");
    check_compute(at, preset.precision.value_or(""), preset.attention.value_or(""), preset.vae_tiling.value_or(""),
                  preset.vae_tile);
    for (const auto& [key, side] : {std::pair{".width", preset.width}, {".height", preset.height}}) {
      if (side && *side % 8 != 0) complain(at + key, std::to_string(*side), "is no multiple of 8 pixels");
    }
  }

  // Each by itself, so that the line of the file is found.
  void check_compute(const std::string& table, const std::string& precision, const std::string& attention,
                     const std::string& tiling, std::optional<int64_t> tile) {
    auto check_one = [&](const char* key, const std::string& value, const diffuse::ComputeNames& names) {
      const Result<diffuse::ComputeOptions> options = diffuse::compute_options(diffuse::kPictureDevice, names);
      if (!options) complain(table + "." + key, value, "cannot be used: " + options.error().message());
    };
    check_one("precision", precision, {.precision = precision});
    check_one("attention", attention, {.attention = attention});
    check_one("vae_tiling", tiling, {.vae_tiling = tiling});
    if (tile) check_one("vae_tile", std::to_string(*tile), {.vae_tile = tile});
  }

  void check_name(const std::string& key, const std::string& wanted, const std::vector<std::string>& names,
                  const char* what) {
    if (std::find(names.begin(), names.end(), wanted) != names.end()) return;
    const std::string nearest = nearest_name(wanted, names);
    complain(key, wanted, nearest.empty() ? fmt::format("is no {}; there are {}", what, fmt::join(names, ", "))
                                          : fmt::format("is no {}; did you mean '{}'?", what, nearest));
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
