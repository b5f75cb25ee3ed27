// What a workflow changes about a model.
#include <fmt/format.h>

#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

diffuse::Prediction prediction_of(const std::string& word) {
  if (word == "eps") return diffuse::Prediction::kEps;
  if (word == "v_prediction") return diffuse::Prediction::kV;
  if (word == "lcm") return diffuse::Prediction::kLcm;
  if (word == "x0") return diffuse::Prediction::kX0;
  if (word == "img_to_img") return diffuse::Prediction::kImageToImage;
  if (word == "img_to_img_flow") return diffuse::Prediction::kImageToImageFlow;
  if (word.starts_with("edm")) return diffuse::Prediction::kEdm;
  if (word == "cosmos_rflow") return diffuse::Prediction::kCosmosFlow;
  throw Error(Code::kUnsupported, fmt::format("sampling '{}' is not supported", word));
}

NodeResult model_sampling_discrete(NodeCall& call) {
  diffuse::Model model = call.get<diffuse::Model>("model");
  model.prediction = prediction_of(call.text("sampling"));
  model.zero_terminal_snr = call.flag("zsnr");
  model.continuous.reset();
  return give(model_value(std::move(model)));
}

diffuse::Model continuous(NodeCall& call, diffuse::ContinuousLevels levels) {
  diffuse::Model model = call.get<diffuse::Model>("model");
  model.prediction = prediction_of(call.text("sampling"));
  levels.sigma_min = call.number("sigma_min");
  levels.sigma_max = call.number("sigma_max");
  if (!(levels.sigma_min > 0 && levels.sigma_min < levels.sigma_max)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("noise from {} to {}: sigma_min must be above 0 and below sigma_max", levels.sigma_min,
                            levels.sigma_max));
  }
  model.continuous = levels;
  return model;
}

NodeResult model_sampling_continuous_edm(NodeCall& call) {
  const std::string sampling = call.text("sampling");
  diffuse::Model model = continuous(call, {.sigma_data = sampling.starts_with("edm") ? diffuse::kEdmSigmaData : 1.0});
  if (sampling == "edm_playground_v2.5") model.has_playground_latents = true;
  return give(model_value(std::move(model)));
}

NodeResult model_sampling_continuous_v(NodeCall& call) {
  return give(model_value(continuous(call, {.is_angle = true})));
}

NodeResult differential_diffusion(NodeCall& call) {
  diffuse::Model model = call.get<diffuse::Model>("model");
  model.differential = static_cast<float>(call.number("strength"));
  return give(model_value(std::move(model)));
}

NodeResult rescale_cfg(NodeCall& call) {
  diffuse::Model model = call.get<diffuse::Model>("model");
  model.rescale_cfg = static_cast<float>(call.number("multiplier"));
  return give(model_value(std::move(model)));
}

}  // namespace

void add_model_patch_nodes(Registry& registry) {
  registry.add({.class_name = "ModelSamplingDiscrete",
                .category = "advanced/model",
                .description = "Sets what a model predicts: for checkpoints that do not say it themselves.",
                .python_module = "comfy_extras.nodes_model_advanced",
                .inputs = {socket("model", "MODEL"),
                           choice("sampling", {"eps", "v_prediction", "lcm", "x0", "img_to_img", "img_to_img_flow"}),
                           boolean("zsnr", false)},
                .outputs = {{"MODEL"}},
                .run = model_sampling_discrete});
  registry.add({.class_name = "ModelSamplingContinuousEDM",
                .category = "advanced/model",
                .description = "Sets what a model predicts, and between which noise levels, for models trained as EDM.",
                .python_module = "comfy_extras.nodes_model_advanced",
                .inputs = {socket("model", "MODEL"),
                           choice("sampling", {"v_prediction", "edm", "edm_playground_v2.5", "eps", "cosmos_rflow"}),
                           exact_number("sigma_max", {.value = 120.0, .min = 0.0, .max = 1000.0, .step = 0.001}),
                           exact_number("sigma_min", {.value = 0.002, .min = 0.0, .max = 1000.0, .step = 0.001})},
                .outputs = {{"MODEL"}},
                .run = model_sampling_continuous_edm});
  registry.add({.class_name = "ModelSamplingContinuousV",
                .category = "advanced/model",
                .description = "Sets between which noise levels a model with v-prediction works, for those trained "
                               "without a table.",
                .python_module = "comfy_extras.nodes_model_advanced",
                .inputs = {socket("model", "MODEL"), choice("sampling", {"v_prediction"}),
                           exact_number("sigma_max", {.value = 500.0, .min = 0.0, .max = 1000.0, .step = 0.001}),
                           exact_number("sigma_min", {.value = 0.03, .min = 0.0, .max = 1000.0, .step = 0.001})},
                .outputs = {{"MODEL"}},
                .run = model_sampling_continuous_v});
  registry.add({.class_name = "DifferentialDiffusion",
                .display_name = "Differential Diffusion",
                .category = "_for_testing",
                .description = "Lets the grey of a noise mask say from when on each pixel is made anew.",
                .python_module = "comfy_extras.nodes_differential_diffusion",
                .inputs = {socket("model", "MODEL"),
                           number("strength", {.value = 1.0, .min = 0.0, .max = 1.0, .step = 0.01})
                               .help("1: the mask's grey decides alone; less: it also blends, as a plain mask does")
                               .optional()},
                .outputs = {{"MODEL"}},
                .is_experimental = true,
                .run = differential_diffusion});
  registry.add(
      {.class_name = "RescaleCFG",
       .category = "advanced/model",
       .description = "Takes back the contrast that a high CFG adds.",
       .python_module = "comfy_extras.nodes_model_advanced",
       .inputs = {socket("model", "MODEL"), number("multiplier", {.value = 0.7, .min = 0.0, .max = 1.0, .step = 0.01})},
       .outputs = {{"MODEL"}},
       .run = rescale_cfg});
}

}  // namespace hearth::workflow
