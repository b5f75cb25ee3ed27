// What the node families share: declared limits, combos of samplers, values in and out.
#pragma once
#include <string>
#include <vector>

#include "runtime/diffuse/picture_engine.h"
#include "runtime/diffuse/sampling/schedule.h"
#include "workflow/image/tensors.h"
#include "workflow/registry.h"
#include "workflow/services.h"

namespace hearth::workflow {

inline constexpr int64_t kMaxSide = 16384;

InputSpec sampler_choice(std::string_view name);
InputSpec scheduler_choice(std::string_view name);
/// A number whose digits the frontend leaves as they are typed.
InputSpec exact_number(std::string_view name, FloatRange range);

// Values with the bytes they keep alive.
NodeValue image_value(Tensor tensor);  // IMAGE and MASK
NodeValue latent_value(diffuse::Latent latent);
NodeValue conditioning_value(diffuse::Conditioning conditioning);
NodeValue model_value(diffuse::Model model);
NodeValue clip_value(diffuse::TextEncoder clip);
NodeValue vae_value(diffuse::Vae vae);

/// An IMAGE [B,H,W,C] or MASK [B,H,W] input.
Tensor image_in(const NodeCall& call, std::string_view name);
Tensor mask_in(const NodeCall& call, std::string_view name);
diffuse::Latent latent_in(const NodeCall& call, std::string_view name);

/// A method by its combo name; kInvalidArgument for another.
Resampling resampling_in(const NodeCall& call, std::string_view name);

/// The first file of a model folder whose name begins so; empty when there is none.
std::string first_model_file(const ModelFolders& models, std::string_view kind, std::string_view begin);

/// Help for an input whose declaration gives none; empty where nothing general can be said (input_help.cpp).
std::string_view input_help(const NodeType& node, const InputSpec& input);

/// Progress, cancellation and, for sampling, previews of a call. The call outlives it.
diffuse::Watch watch_of(const NodeCall& call);

// The families, each in its file.
void add_sampler_nodes(Registry& registry);
void add_custom_sampling_nodes(Registry& registry);
void add_sampler_choice_nodes(Registry& registry);
void add_sigma_nodes(Registry& registry);
void add_loader_nodes(Registry& registry);
void add_text_encode_nodes(Registry& registry);
void add_conditioning_nodes(Registry& registry);
void add_latent_nodes(Registry& registry);
void add_latent_math_nodes(Registry& registry);
void add_latent_cut_nodes(Registry& registry);
void add_vae_nodes(Registry& registry);
void add_image_nodes(Registry& registry);
void add_image_transform_nodes(Registry& registry);
void add_image_filter_nodes(Registry& registry);
void add_image_effect_nodes(Registry& registry);
void add_mask_nodes(Registry& registry);
void add_model_patch_nodes(Registry& registry);
void add_compute_nodes(Registry& registry);
void add_primitive_nodes(Registry& registry);
void add_text_nodes(Registry& registry);
void add_load_nodes(Registry& registry);
void add_save_nodes(Registry& registry);
void add_animation_nodes(Registry& registry);

}  // namespace hearth::workflow
