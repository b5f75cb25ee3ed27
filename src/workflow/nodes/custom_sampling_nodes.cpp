// Custom sampling: noise, guiders and the nodes that put them to work.
#include <cmath>

#include "runtime/diffuse/sampling/guidance.h"
#include "workflow/nodes/sampling.h"
#include "workflow/picture_work.h"

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

// How far down the noise levels go is how much noise comes on.
NodeResult add_noise(NodeCall& call) {
  diffuse::Latent latent = latent_in(call, "latent_image");
  diffuse::Sigmas sigmas = call.get<diffuse::Sigmas>("sigmas");
  if (sigmas.empty()) return give(latent_value(std::move(latent)));
  const float level = sigmas.size() > 1 ? std::fabs(sigmas.front() - sigmas.back()) : sigmas.front();
  return give(latent_value(
      call.pictures().add_noise(call.get<diffuse::Model>("model"), call.get<diffuse::Noise>("noise"), level, latent)));
}

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

// A negative that is not there asks a model for a pass without text, which no family here has.
NodeResult dual_model_guider(NodeCall& call) {
  Guider guider;
  guider.model = call.get<diffuse::Model>("model");
  guider.positive = call.get<Conditioning>("positive");
  guider.cfg = call.number("cfg");
  if (call.has("model_negative")) {
    guider.kind = Guider::Kind::kDualModel;
    guider.negative_model = call.get<diffuse::Model>("model_negative");
  }
  if (call.has("negative")) {
    guider.negative = call.get<Conditioning>("negative");
  } else if (!diffuse::is_one(guider.cfg)) {
    throw Error(Code::kUnsupported,
                "without a negative the model would have to guess without any text, which models of this kind cannot; "
                "connect a CLIPTextEncode without words or ConditioningZeroOut to `negative`, or set `cfg` to 1");
  }
  return guider_value(std::move(guider));
}

NodeResult perp_neg_guider(NodeCall& call) {
  Guider guider = cfg_guider_in(call);
  guider.kind = Guider::Kind::kPerpNeg;
  guider.middle = call.get<Conditioning>("empty_conditioning");
  guider.negative_scale = call.number("neg_scale");
  return guider_value(std::move(guider));
}

}  // namespace

void add_custom_sampling_nodes(Registry& registry) {
  registry.add({.class_name = "SamplerCustom",
                .category = "sampling/custom_sampling",
                .description = "Samples with a sampler and noise levels of your choice.",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("model", "MODEL"), boolean("add_noise", true), seed("noise_seed"), cfg_input("cfg"),
                           socket("positive", "CONDITIONING"), socket("negative", "CONDITIONING"),
                           socket("sampler", "SAMPLER"), socket("sigmas", "SIGMAS"), socket("latent_image", "LATENT")},
                .outputs = {{"LATENT", "output"}, {"LATENT", "denoised_output"}},
                .run = sampler_custom});
  registry.add({.class_name = "SamplerCustomAdvanced",
                .category = "sampling/custom_sampling",
                .description = "Samples with noise, guider, sampler and noise levels each from a node of its own.",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("noise", "NOISE"), socket("guider", "GUIDER"), socket("sampler", "SAMPLER"),
                           socket("sigmas", "SIGMAS"), socket("latent_image", "LATENT")},
                .outputs = {{"LATENT", "output"}, {"LATENT", "denoised_output"}},
                .run = sampler_custom_advanced});
  registry.add({.class_name = "RandomNoise",
                .category = "sampling/custom_sampling/noise",
                .description = "Noise of a seed.",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {seed("noise_seed")},
                .outputs = {{"NOISE"}},
                .run = random_noise});
  registry.add({.class_name = "DisableNoise",
                .category = "sampling/custom_sampling/noise",
                .description = "No noise: for latents that carry some already.",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {},
                .outputs = {{"NOISE"}},
                .run = disable_noise});
  registry.add({.class_name = "AddNoise",
                .category = "_for_testing/custom_sampling/noise",
                .description = "Puts noise on a latent, as much as lies between the first and the last level.",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("model", "MODEL"), socket("noise", "NOISE"), socket("sigmas", "SIGMAS"),
                           socket("latent_image", "LATENT")},
                .outputs = {{"LATENT"}},
                .is_experimental = true,
                .run = add_noise});
  registry.add(
      {.class_name = "PerpNegGuider",
       .category = "_for_testing",
       .description = "Follows a prompt, and steers clear of what the negative has beside it.",
       .python_module = "comfy_extras.nodes_perpneg",
       .inputs = {socket("model", "MODEL"), socket("positive", "CONDITIONING"), socket("negative", "CONDITIONING"),
                  socket("empty_conditioning", "CONDITIONING").help("A prompt without words"), cfg_input("cfg"),
                  number("neg_scale", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01})
                      .help("How strongly the negative is held against the positive")},
       .outputs = {{"GUIDER"}},
       .is_experimental = true,
       .run = perp_neg_guider});
  registry.add({.class_name = "BasicGuider",
                .category = "sampling/custom_sampling/guiders",
                .description = "Follows one prompt, without a negative.",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("model", "MODEL"), socket("conditioning", "CONDITIONING")},
                .outputs = {{"GUIDER"}},
                .run = basic_guider});
  registry.add({.class_name = "CFGGuider",
                .category = "sampling/custom_sampling/guiders",
                .description = "Follows a prompt and stays away from a negative (classifier-free guidance).",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("model", "MODEL"), socket("positive", "CONDITIONING"),
                           socket("negative", "CONDITIONING"), cfg_input("cfg")},
                .outputs = {{"GUIDER"}},
                .run = cfg_guider});
  registry.add({.class_name = "DualCFGGuider",
                .category = "sampling/custom_sampling/guiders",
                .description = "Guidance with two prompts, each with a strength of its own.",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("model", "MODEL"), socket("cond1", "CONDITIONING"), socket("cond2", "CONDITIONING"),
                           socket("negative", "CONDITIONING"), cfg_input("cfg_conds"), cfg_input("cfg_cond2_negative"),
                           choice("style", {"regular", "nested"})},
                .outputs = {{"GUIDER"}},
                .run = dual_cfg_guider});
  registry.add(
      {.class_name = "DualModelGuider",
       .display_name = "Dual Model CFG Guider",
       .category = "sampling/custom_sampling/guiders",
       .description = "Guidance by two models: one follows the prompt, the other says what to stay away from. Both are "
                      "in memory while it samples.",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {socket("model", "MODEL").help("Sees the prompt"), socket("positive", "CONDITIONING"),
                  number("cfg", {.value = 4.0, .min = 0.0, .max = 100.0, .step = 0.1, .round = 0.01}),
                  socket("model_negative", "MODEL")
                      .help("Sees the negative; of the same latents as the other. Without it one model sees both")
                      .optional(),
                  socket("negative", "CONDITIONING").help("May be left out where cfg is 1").optional()},
       .outputs = {{"GUIDER"}},
       .is_experimental = true,
       .run = dual_model_guider});
}

}  // namespace hearth::workflow
