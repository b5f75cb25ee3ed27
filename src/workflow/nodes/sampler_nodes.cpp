// KSampler and KSamplerAdvanced.
#include "runtime/diffuse/sampling/sampler.h"
#include "workflow/nodes/sampling.h"
#include "workflow/picture_work.h"

namespace hearth::workflow {

InputSpec steps_input(int64_t value, int64_t max) { return integer("steps", {.value = value, .min = 1, .max = max}); }
InputSpec cfg_input(std::string_view name) {
  return number(name, {.value = 8.0, .min = 0.0, .max = 100.0, .step = 0.1, .round = 0.01});
}
InputSpec denoise_input() { return number("denoise", {.value = 1.0, .min = 0.0, .max = 1.0, .step = 0.01}); }

diffuse::Guider cfg_guider_in(const NodeCall& call) {
  diffuse::Guider guider;
  guider.kind = diffuse::Guider::Kind::kCfg;
  guider.model = call.get<diffuse::Model>("model");
  guider.positive = call.get<diffuse::Conditioning>("positive");
  guider.negative = call.get<diffuse::Conditioning>("negative");
  guider.cfg = call.number("cfg");
  return guider;
}

SampledLatents sampled(const NodeCall& call, diffuse::SampleRequest request) {
  diffuse::Latent latent = request.latent;
  if (request.sigmas.empty()) return {latent, latent};
  diffuse::Sampled result = call.pictures().sample(request, watch_of(call));
  SampledLatents both{latent, latent};
  both.output.samples = result.output.samples;
  both.denoised.samples = result.denoised.samples ? result.denoised.samples : result.output.samples;
  return both;
}

namespace {

NodeResult run_ksampler(NodeCall& call, const diffuse::StepRange& range, const diffuse::Noise& noise) {
  diffuse::SampleRequest request;
  request.guider = cfg_guider_in(call);
  request.sampler.name = call.text("sampler_name");
  diffuse::ModelSampling sampling = call.pictures().sampling_of(request.guider.model);
  request.sigmas = diffuse::ksampler_sigmas(request.sampler.name, call.text("scheduler"), sampling, range).value();
  request.noise = noise;
  request.latent = latent_in(call, "latent_image");
  return give(latent_value(sampled(call, std::move(request)).output));
}

NodeResult ksampler(NodeCall& call) {
  return run_ksampler(call, {.steps = call.integer("steps"), .denoise = call.number("denoise")},
                      {.seed = call.seed("seed")});
}

NodeResult ksampler_advanced(NodeCall& call) {
  diffuse::StepRange range{.steps = call.integer("steps"),
                           .start_step = call.integer("start_at_step"),
                           .end_step = call.integer("end_at_step"),
                           .is_forced_to_zero = call.text("return_with_leftover_noise") != "enable"};
  return run_ksampler(call, range, {.seed = call.seed("noise_seed"), .is_off = call.text("add_noise") == "disable"});
}

}  // namespace

void add_sampler_nodes(Registry& registry) {
  registry.add(
      {.class_name = "KSampler",
       .category = "sampling",
       .description = "Makes a latent of noise, step by step, as the prompts say.",
       .inputs = {socket("model", "MODEL"), seed("seed"), steps_input(20), cfg_input("cfg"),
                  sampler_choice("sampler_name"), scheduler_choice("scheduler"), socket("positive", "CONDITIONING"),
                  socket("negative", "CONDITIONING"), socket("latent_image", "LATENT"), denoise_input()},
       .outputs = {{"LATENT"}},
       .run = ksampler});
  registry.add(
      {.class_name = "KSamplerAdvanced",
       .display_name = "KSampler (Advanced)",
       .category = "sampling",
       .description = "KSampler for a part of the steps, to split a sampling between models or settings.",
       .inputs = {socket("model", "MODEL"), choice("add_noise", {"enable", "disable"}), seed("noise_seed"),
                  steps_input(20), cfg_input("cfg"), sampler_choice("sampler_name"), scheduler_choice("scheduler"),
                  socket("positive", "CONDITIONING"), socket("negative", "CONDITIONING"),
                  socket("latent_image", "LATENT"), integer("start_at_step", {.value = 0, .min = 0, .max = 10000}),
                  integer("end_at_step", {.value = 10000, .min = 0, .max = 10000}),
                  choice("return_with_leftover_noise", {"disable", "enable"})},
       .outputs = {{"LATENT"}},
       .run = ksampler_advanced});
}

}  // namespace hearth::workflow
