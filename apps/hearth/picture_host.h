// PictureHost: what a subcommand that makes pictures needs: folders, memory, the engine and the studio, gathered once
// from the configuration.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "host.h"
#include "workflow/studio.h"

namespace hearth::app {

/// Folders of pictures as configured, made where they are missing, and ../share/hearth of the program's own folder with
/// the model that comes along; `staging`, if given, stands for output and temp.
workflow::Places picture_places(const config::Pictures& pictures, const std::string& staging = "");

/// As picture_places(), but makes nothing: for looking.
workflow::Places places_named(const config::Pictures& pictures, const std::string& staging = "");

/// $XDG_DATA_HOME/hearth/pictures, else ~/.local/share/hearth/pictures.
std::string default_pictures_folder();

/// A preset by name, or the configured default for "". kNotFound names those there are.
const config::Preset& preset_named(const config::Config& config, const std::string& name);

/// [pictures] precision, attention, vae_slicing, vae_tiling and vae_tile. kInvalidArgument or kUnsupported saying which
/// is wrong and what this device has.
Result<diffuse::ComputeOptions> compute_options(const config::Pictures& pictures);

class PictureHost {
 public:
  /// `host` outlives this. `shared` is the executor of the language models, used when both run on the CPU; null: one of
  /// its own.
  PictureHost(Host& host, workflow::Places places, Executor* shared);

  workflow::Studio& studio() { return *studio_; }
  diffuse::PictureEngine& engine() { return *engine_; }
  governor::LeasedAllocator& memory() { return *memory_; }
  const std::string& pool() const { return memory_->budget().pool(); }

 private:
  governor::LeasedAllocator* const memory_;  // the machine's own
  std::unique_ptr<Executor> own_executor_;
  std::unique_ptr<diffuse::PictureEngine> engine_;
  std::unique_ptr<workflow::Studio> studio_;
};

}  // namespace hearth::app
