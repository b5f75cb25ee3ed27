#include "picture_host.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/files.h"
#include "core/base/log.h"
#include "fetch/store/store.h"
#include "planner/report/advise.h"

namespace hearth::app {
namespace {

std::string folder_or(const fs::path& configured, const std::string& fallback) {
  return configured.empty() ? fallback : configured.string();
}

workflow::PreviewMethod preview_method(const std::string& name) {
  if (name == "none") return workflow::PreviewMethod::kNone;
  if (name == "latent2rgb") return workflow::PreviewMethod::kLatentToRgb;
  if (name == "taesd") return workflow::PreviewMethod::kTinyDecoder;
  return workflow::PreviewMethod::kAuto;
}

// What is installed beside the program: bin/hearth has share/hearth. Empty where the system does not say where it runs.
fs::path shipped_folder() {
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  return failed ? fs::path() : program.parent_path().parent_path() / "share/hearth";
}

}  // namespace

std::string default_pictures_folder() {
  return (fetch::Store::default_root().parent_path() / "pictures").string();
}

workflow::Places places_named(const config::Pictures& pictures, const std::string& staging) {
  const std::string home = default_pictures_folder();
  const std::string models = folder_or(pictures.models_dir, home + "/models");
  const std::string output = staging.empty() ? folder_or(pictures.output_dir, home + "/output") : staging;
  workflow::Places places{.models = workflow::ModelFolders(models, output),
                          .input = folder_or(pictures.input_dir, home + "/input"),
                          .output = output,
                          .temp = staging.empty() ? folder_or(pictures.temp_dir, home + "/temp") : staging};
  if (!pictures.comfyui_dir.empty()) {
    const workflow::ModelFolders theirs((pictures.comfyui_dir / "models").string());
    for (const std::string& kind : theirs.kinds()) {
      for (const std::string& folder : theirs.folders(kind)) places.models.add_folder(kind, folder);
    }
    const fs::path yaml = pictures.comfyui_dir / "extra_model_paths.yaml";
    if (fs::exists(yaml)) places.models.add_yaml(yaml.string()).value();
  }
  if (!pictures.extra_model_paths.empty()) places.models.add_yaml(pictures.extra_model_paths.string()).value();
  const fs::path shipped = shipped_folder() / "models/checkpoints";
  if (std::error_code failed; fs::is_directory(shipped, failed)) {
    places.models.add_shipped("checkpoints", shipped.string());
  }
  return places;
}

workflow::Places picture_places(const config::Pictures& pictures, const std::string& staging) {
  const std::string models = folder_or(pictures.models_dir, default_pictures_folder() + "/models");
  workflow::Places places = places_named(pictures, staging);
  for (const std::string& folder : {models, places.input, places.output, places.temp}) make_folders(folder).value();
  return places;
}

const config::Preset& preset_named(const config::Config& config, const std::string& name) {
  const std::string& wanted = name.empty() ? config.pictures.default_preset : name;
  std::vector<std::string> known;
  for (const config::Preset& preset : config.presets) {
    if (preset.name == wanted) return preset;
    known.push_back(preset.name);
  }
  throw Error(Code::kNotFound, fmt::format("no preset '{}'; there are {}", wanted, fmt::join(known, ", ")));
}

Result<diffuse::ComputeOptions> compute_options(const config::Pictures& pictures) {
  return diffuse::compute_options(diffuse::kPictureDevice, {.precision = pictures.precision,
                                                            .attention = pictures.attention,
                                                            .vae_tiling = pictures.vae_tiling,
                                                            .vae_slicing = pictures.vae_slicing,
                                                            .vae_tile = pictures.vae_tile});
}

PictureHost::PictureHost(Host& host, workflow::Places places, Executor* shared) : memory_(&host.host_memory()) {
  Executor* executor = shared;
  if (host.choice().device.kind != DeviceKind::kCpu) {
    // Picture models have CPU kernels only: they get the host's memory and an executor of their own.
    log::info("pictures: on the CPU, {} threads", host.threads());
    executor = nullptr;
  }
  if (!executor) {
    own_executor_ = std::make_unique<Executor>(Device{DeviceKind::kCpu}, cpu_caps(host.threads()), host.threads(),
                                               host.maps_files());
    executor = own_executor_.get();
  }
  const config::Pictures& pictures = host.config().pictures;
  engine_ = std::make_unique<diffuse::PictureEngine>(*executor, *memory_, places.models.folders("embeddings"),
                                                     compute_options(pictures).value());
  engine_->set_advisor([caps = cpu_caps(host.threads())](const Error& refusal, const diffuse::PictureNeed& need,
                                                         const std::function<bool()>& gives_up) {
    return planner::advise(refusal, need, caps, gives_up);
  });
  studio_ = std::make_unique<workflow::Studio>(
      *engine_, workflow::StudioOptions{.places = std::move(places), .cache_bytes = pictures.cache_bytes,
                                        .preview_method = preview_method(pictures.preview)});
}

}  // namespace hearth::app
