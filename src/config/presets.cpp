#include "config/presets.h"

namespace hearth::config {

std::vector<Preset> shipped_presets() {
  Preset balanced{.name = "balanced", .steps = 20, .batch = Batch{}, .note = "one picture in 20 steps"};
  balanced.cfg = 7;
  balanced.sampler = "euler_ancestral";
  balanced.scheduler = "karras";
  balanced.vae_slicing = true;

  Preset batch = balanced;
  batch.name = "batch";
  batch.batch = Batch{.most = 8};
  batch.note = "eight pictures at once";

  Preset quality = balanced;
  quality.name = "quality";
  quality.steps = 30;
  quality.cfg = 9;
  quality.note = "30 steps; a guidance scale of 9 saturates colours, RescaleCFG tames it";
  return {std::move(balanced), std::move(batch), std::move(quality)};
}

}  // namespace hearth::config
