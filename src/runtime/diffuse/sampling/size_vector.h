// The vector an SDXL UNet gets beside its text: the pooled text and sinusoids of sizes, or of sizes and a score.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "runtime/diffuse/sampling/field.h"
#include "runtime/diffuse/values.h"

namespace hearth::diffuse {

/// What a UNet wants to know besides text and timestep.
enum class SizeVectorKind {
  kNone,
  kSdxl,     // pooled, then height, width, crop_h, crop_w, target_height, target_width: 6 x 256
  kRefiner,  // pooled, then height, width, crop_h, crop_w, aesthetic score: 5 x 256
};

/// `number` as 128 cosines and 128 sines of falling frequency.
std::vector<float> sinusoids(float number);
/// One row per row of the condition's pooled text. `is_negative` chooses the default score. kInvalidArgument where the
/// condition brings no pooled text.
std::vector<float> size_vector(SizeVectorKind kind, const Condition& condition, const LatentShape& latent,
                               bool is_negative);

}  // namespace hearth::diffuse
