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
  throw Error(Code::kUnsupported, fmt::format("sampling '{}' is not supported", word));
}

NodeResult model_sampling_discrete(NodeCall& call) {
  diffuse::Model model = call.get<diffuse::Model>("model");
  model.prediction = prediction_of(call.text("sampling"));
  model.zero_terminal_snr = call.flag("zsnr");
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
                .python_module = "comfy_extras.nodes_model_advanced",
                .inputs = {socket("model", "MODEL"),
                           choice("sampling", {"eps", "v_prediction", "lcm", "x0", "img_to_img", "img_to_img_flow"}),
                           boolean("zsnr", false)},
                .outputs = {{"MODEL"}},
                .run = model_sampling_discrete});
  registry.add(
      {.class_name = "RescaleCFG",
       .category = "advanced/model",
       .python_module = "comfy_extras.nodes_model_advanced",
       .inputs = {socket("model", "MODEL"), number("multiplier", {.value = 0.7, .min = 0.0, .max = 1.0, .step = 0.01})},
       .outputs = {{"MODEL"}},
       .run = rescale_cfg});
}

}  // namespace hearth::workflow
