// compose: the prompt graph, in API format, of one picture as people ask for it: words, size, steps. `hearth imagine`
// and /v1/images/generations run these graphs like any other, so a picture they made opens as a workflow elsewhere.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/value.h"

namespace hearth::workflow {

struct PictureOptions {
  struct Lora {
    std::string name;
    double strength = 1;
  };
  std::string checkpoint;  // a name of the checkpoints folder
  std::string prompt, negative;
  int64_t width = 1024, height = 1024;
  int64_t steps = 20, batch = 1;
  double cfg = 7;
  std::string sampler = "euler_ancestral", scheduler = "karras";
  uint64_t seed = 0;
  std::vector<Lora> loras;
  std::string init;         // picture to start from, a name of the input folder; empty: noise alone
  std::string mask;         // white: paint here; needs init
  double denoise = 1;       // of an init picture: 1 forgets it
  std::string precision, attention, vae_slicing, vae_tiling;  // as HearthComputeOptions has them; "": the default
  int64_t vae_tile = 0;     // pixels; 0: the default
  double rescale_cfg = 0;   // RescaleCFG's multiplier; 0: off
  std::string prefix = "Hearth";  // of the saved files
  bool saves = true;        // SaveImage; else PreviewImage
};

/// Node ids are small numbers; the sampler is "5", the node that saves "9".
Value compose_picture(const PictureOptions& options);

}  // namespace hearth::workflow
