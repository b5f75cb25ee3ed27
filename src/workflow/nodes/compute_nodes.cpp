// How networks are kept and computed: Hearth's own node, for what ComfyUI says with flags of its command line.
#include "runtime/diffuse/compute_options.h"
#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

constexpr const char* kDefault = "default";  // of the server

std::vector<std::string> attention_choices() {
  std::vector<std::string> names{kDefault};
  for (const AttentionName& known : attention_names(diffuse::kPictureDevice)) names.emplace_back(known.name);
  return names;
}

std::string chosen(const NodeCall& call, std::string_view name) {
  std::string text = call.text(name);
  return text == kDefault ? "" : text;
}

NodeResult compute_options(NodeCall& call) {
  const std::string precision = chosen(call, "precision"), attention = chosen(call, "attention"),
                    slicing = chosen(call, "vae_slicing"), tiling = chosen(call, "vae_tiling");
  diffuse::ComputeNames names{.precision = precision, .attention = attention, .vae_tiling = tiling};
  if (!slicing.empty()) names.vae_slicing = slicing == "on";
  if (!tiling.empty()) names.vae_tile = call.integer("vae_tile");
  const diffuse::ComputeOptions asked = diffuse::compute_options(diffuse::kPictureDevice, names).value();
  diffuse::Model model = call.get<diffuse::Model>("model");
  diffuse::TextEncoder clip = call.get<diffuse::TextEncoder>("clip");
  diffuse::Vae vae = call.get<diffuse::Vae>("vae");
  model.compute = asked.over(model.compute);
  clip.compute = asked.over(clip.compute);
  vae.compute = asked.over(vae.compute);
  return give(model_value(std::move(model)), clip_value(std::move(clip)), vae_value(std::move(vae)));
}

}  // namespace

void add_compute_nodes(Registry& registry) {
  registry.add({.class_name = "HearthComputeOptions",
                .display_name = "Compute Options",
                .category = "advanced/hearth",
                .description = "How weights are kept and attention is computed, and how much the VAE takes at once. "
                               "The picture's workflow needs Hearth to open whole.",
                .python_module = "hearth",
                .inputs = {socket("model", "MODEL"), socket("clip", "CLIP"), socket("vae", "VAE"),
                           choice("precision", {kDefault, "auto", "fp32", "fp16", "bf16"}),
                           choice("attention", attention_choices()), choice("vae_slicing", {kDefault, "on", "off"}),
                           choice("vae_tiling", {kDefault, "auto", "on", "off"}),
                           integer("vae_tile", {.value = diffuse::kDefaultTile, .min = diffuse::kLeastTile,
                                                .max = diffuse::kMostTile, .step = diffuse::kTileStep})},
                .outputs = {{"MODEL"}, {"CLIP"}, {"VAE"}},
                .run = compute_options});
}

}  // namespace hearth::workflow
