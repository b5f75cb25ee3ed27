// Custom sampling: noise, guiders and the nodes that put them to work.
#include "runtime/diffuse/sampling/sampler.h"
#include "workflow/nodes/sampling.h"

namespace hearth::workflow {
namespace {

using diffuse::Conditioning;
using diffuse::Guider;

NodeResult both(SampledLatents latents) {
  return give(latent_value(std::move(latents.output)), latent_value(std::move(latents.denoised)));
}

NodeResult sampler_custom(NodeCall& call) {
  diffuse::SampleRequest request;
  request.guider = cfg_guider_in(call);
  request.sampler = call.get<diffuse::SamplerChoice>("sampler");
  request.sigmas = call.get<diffuse::Sigmas>("sigmas");
  request.noise = {.seed = call.seed("noise_seed"), .is_off = !call.flag("add_noise")};
  request.latent = latent_in(call, "latent_image");
  return both(sampled(call, std::move(request)));
}

NodeResult sampler_custom_advanced(NodeCall& call) {
  diffuse::SampleRequest request;
  request.guider = call.get<Guider>("guider");
  request.sampler = call.get<diffuse::SamplerChoice>("sampler");
  request.sigmas = call.get<diffuse::Sigmas>("sigmas");
  request.noise = call.get<diffuse::Noise>("noise");
  request.latent = latent_in(call, "latent_image");
  return both(sampled(call, std::move(request)));
}

NodeResult random_noise(NodeCall& call) { return give(NodeValue::of(diffuse::Noise{.seed = call.seed("noise_seed")})); }

NodeResult disable_noise(NodeCall&) { return give(NodeValue::of(diffuse::Noise{.is_off = true})); }

NodeResult guider_value(Guider guider) { return give(NodeValue::of(std::move(guider), 0, true)); }

NodeResult basic_guider(NodeCall& call) {
  Guider guider;
  guider.kind = Guider::Kind::kBasic;
  guider.model = call.get<diffuse::Model>("model");
  guider.positive = call.get<Conditioning>("conditioning");
  return guider_value(std::move(guider));
}

NodeResult cfg_guider(NodeCall& call) { return guider_value(cfg_guider_in(call)); }

NodeResult dual_cfg_guider(NodeCall& call) {
  Guider guider;
  guider.kind = call.text("style") == "nested" ? Guider::Kind::kDualCfgNested : Guider::Kind::kDualCfg;
  guider.model = call.get<diffuse::Model>("model");
  guider.positive = call.get<Conditioning>("cond1");
  guider.middle = call.get<Conditioning>("cond2");
  guider.negative = call.get<Conditioning>("negative");
  guider.cfg = call.number("cfg_conds");
  guider.cfg_middle = call.number("cfg_cond2_negative");
  return guider_value(std::move(guider));
}

}  // namespace

void add_custom_sampling_nodes(Registry& registry) {
  registry.add({.class_name = "SamplerCustom",
                .category = "sampling/custom_sampling",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("model", "MODEL"), boolean("add_noise", true), seed("noise_seed"),
                           number("cfg", {.value = 8.0, .min = 0.0, .max = 100.0, .step = 0.1, .round = 0.01}),
                           socket("positive", "CONDITIONING"), socket("negative", "CONDITIONING"),
                           socket("sampler", "SAMPLER"), socket("sigmas", "SIGMAS"), socket("latent_image", "LATENT")},
                .outputs = {{"LATENT", "output"}, {"LATENT", "denoised_output"}},
                .run = sampler_custom});
  registry.add({.class_name = "SamplerCustomAdvanced",
                .category = "sampling/custom_sampling",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("noise", "NOISE"), socket("guider", "GUIDER"), socket("sampler", "SAMPLER"),
                           socket("sigmas", "SIGMAS"), socket("latent_image", "LATENT")},
                .outputs = {{"LATENT", "output"}, {"LATENT", "denoised_output"}},
                .run = sampler_custom_advanced});
  registry.add({.class_name = "RandomNoise",
                .category = "sampling/custom_sampling/noise",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {seed("noise_seed")},
                .outputs = {{"NOISE"}},
                .run = random_noise});
  registry.add({.class_name = "DisableNoise",
                .category = "sampling/custom_sampling/noise",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {},
                .outputs = {{"NOISE"}},
                .run = disable_noise});
  registry.add({.class_name = "BasicGuider",
                .category = "sampling/custom_sampling/guiders",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("model", "MODEL"), socket("conditioning", "CONDITIONING")},
                .outputs = {{"GUIDER"}},
                .run = basic_guider});
  registry.add(
      {.class_name = "CFGGuider",
       .category = "sampling/custom_sampling/guiders",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {socket("model", "MODEL"), socket("positive", "CONDITIONING"), socket("negative", "CONDITIONING"),
                  number("cfg", {.value = 8.0, .min = 0.0, .max = 100.0, .step = 0.1, .round = 0.01})},
       .outputs = {{"GUIDER"}},
       .run = cfg_guider});
  registry.add(
      {.class_name = "DualCFGGuider",
       .category = "sampling/custom_sampling/guiders",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {socket("model", "MODEL"), socket("cond1", "CONDITIONING"), socket("cond2", "CONDITIONING"),
                  socket("negative", "CONDITIONING"),
                  number("cfg_conds", {.value = 8.0, .min = 0.0, .max = 100.0, .step = 0.1, .round = 0.01}),
                  number("cfg_cond2_negative", {.value = 8.0, .min = 0.0, .max = 100.0, .step = 0.1, .round = 0.01}),
                  choice("style", {"regular", "nested"})},
       .outputs = {{"GUIDER"}},
       .run = dual_cfg_guider});
}

}  // namespace hearth::workflow
