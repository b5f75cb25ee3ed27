// Names of text encoders' tensors in the layouts files have them, translated to Hugging Face's, which bind code uses
// ("text_model.encoder.layers.0.self_attn.q_proj.weight", "text_projection.weight").
#pragma once
#include <string_view>

#include "models/load/named_tensors.h"

namespace hearth {

enum class ClipNames { kNone, kHuggingFace, kOpenClip };

/// Which names the text encoder under `prefix` has in `file`; kNone when there is none.
ClipNames clip_names(const TensorFile& file, const std::string& prefix);

/// Adds one tensor of a text encoder, `name` without its prefix. OpenCLIP's fused projections become three weights.
/// What is no part of a text encoder (positions of ids, an image tower) is left out.
void add_clip_tensor(NamedTensors& to, std::string_view name, const TensorInfo& tensor, ClipNames names);

}  // namespace hearth
