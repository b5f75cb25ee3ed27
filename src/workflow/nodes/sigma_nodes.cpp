// Lists of noise levels: made by schedules, cut and changed.
#include "workflow/nodes/sampling.h"
#include "workflow/picture_work.h"

namespace hearth::workflow {
namespace {

using diffuse::Sigmas;

NodeValue sigmas_value(Sigmas sigmas) {
  int64_t bytes = static_cast<int64_t>(sigmas.size() * sizeof(float));
  return NodeValue::of(std::move(sigmas), bytes);
}

diffuse::ModelSampling sampling_in(const NodeCall& call) {
  return call.pictures().sampling_of(call.get<diffuse::Model>("model"));
}

NodeResult basic_scheduler(NodeCall& call) {
  return give(sigmas_value(
      diffuse::basic_sigmas(call.text("scheduler"), sampling_in(call), call.integer("steps"), call.number("denoise"))
          .value()));
}

NodeResult karras_scheduler(NodeCall& call) {
  return give(sigmas_value(diffuse::karras_sigmas(call.integer("steps"), call.number("sigma_min"),
                                                  call.number("sigma_max"), call.number("rho"))));
}

NodeResult exponential_scheduler(NodeCall& call) {
  return give(sigmas_value(
      diffuse::exponential_sigmas(call.integer("steps"), call.number("sigma_min"), call.number("sigma_max"))));
}

NodeResult polyexponential_scheduler(NodeCall& call) {
  return give(sigmas_value(diffuse::polyexponential_sigmas(call.integer("steps"), call.number("sigma_min"),
                                                           call.number("sigma_max"), call.number("rho"))));
}

NodeResult laplace_scheduler(NodeCall& call) {
  return give(sigmas_value(diffuse::laplace_sigmas(call.integer("steps"), call.number("sigma_min"),
                                                   call.number("sigma_max"), call.number("mu"), call.number("beta"))));
}

NodeResult vpscheduler(NodeCall& call) {
  return give(sigmas_value(
      diffuse::vp_sigmas(call.integer("steps"), call.number("beta_d"), call.number("beta_min"), call.number("eps_s"))));
}

NodeResult beta_sampling_scheduler(NodeCall& call) {
  return give(sigmas_value(
      diffuse::beta_sigmas(sampling_in(call), call.integer("steps"), call.number("alpha"), call.number("beta"))));
}

NodeResult sdturbo_scheduler(NodeCall& call) {
  return give(sigmas_value(diffuse::sd_turbo_sigmas(sampling_in(call), call.integer("steps"), call.number("denoise"))));
}

NodeResult align_your_steps_scheduler(NodeCall& call) {
  return give(sigmas_value(
      diffuse::align_your_steps_sigmas(call.text("model_type"), call.integer("steps"), call.number("denoise"))
          .value()));
}

NodeResult manual_sigmas(NodeCall& call) { return give(sigmas_value(diffuse::manual_sigmas(call.text("sigmas")))); }

NodeResult split(std::pair<Sigmas, Sigmas> parts) {
  return give(sigmas_value(std::move(parts.first)), sigmas_value(std::move(parts.second)));
}

NodeResult split_sigmas(NodeCall& call) {
  return split(diffuse::split_sigmas(call.get<Sigmas>("sigmas"), call.integer("step")));
}

NodeResult split_sigmas_denoise(NodeCall& call) {
  return split(diffuse::split_sigmas_denoise(call.get<Sigmas>("sigmas"), call.number("denoise")));
}

NodeResult flip_sigmas(NodeCall& call) { return give(sigmas_value(diffuse::flip_sigmas(call.get<Sigmas>("sigmas")))); }

NodeResult set_first_sigma(NodeCall& call) {
  return give(sigmas_value(diffuse::set_first_sigma(call.get<Sigmas>("sigmas"), call.number("sigma"))));
}

NodeResult extend_intermediate_sigmas(NodeCall& call) {
  diffuse::IntermediateSigmas how{.steps = call.integer("steps"),
                                  .start_at_sigma = call.number("start_at_sigma"),
                                  .end_at_sigma = call.number("end_at_sigma"),
                                  .spacing = call.text("spacing")};
  return give(sigmas_value(diffuse::extend_intermediate_sigmas(call.get<Sigmas>("sigmas"), how)));
}

NodeResult sampling_percent_to_sigma(NodeCall& call) {
  return give(NodeValue(Value(diffuse::sampling_percent_to_sigma(sampling_in(call), call.number("sampling_percent"),
                                                                 call.flag("return_actual_sigma")))));
}

using Run = NodeResult (*)(NodeCall&);

// A node that makes noise levels.
NodeType schedule(std::string name, std::string description, std::vector<InputSpec> inputs, Run run) {
  return {.class_name = std::move(name),
          .category = "sampling/custom_sampling/schedulers",
          .description = std::move(description),
          .python_module = "comfy_extras.nodes_custom_sampler",
          .inputs = std::move(inputs),
          .outputs = {{"SIGMAS"}},
          .run = run};
}

// A node that changes noise levels, or reads them.
NodeType change(std::string name, std::string description, std::vector<InputSpec> inputs, Run run) {
  NodeType type = schedule(std::move(name), std::move(description), std::move(inputs), run);
  type.category = "sampling/custom_sampling/sigmas";
  return type;
}

// A node that makes two lists of one.
NodeType division(std::string name, std::string description, InputSpec where, Run run) {
  NodeType type = change(std::move(name), std::move(description), {socket("sigmas", "SIGMAS"), std::move(where)}, run);
  type.outputs = {{"SIGMAS", "high_sigmas"}, {"SIGMAS", "low_sigmas"}};
  return type;
}

InputSpec sigma_max() {
  return exact_number("sigma_max", {.value = 14.614642, .min = 0.0, .max = 5000.0, .step = 0.01});
}
InputSpec sigma_min() {
  return exact_number("sigma_min", {.value = 0.0291675, .min = 0.0, .max = 5000.0, .step = 0.01});
}
InputSpec rho(double value) { return exact_number("rho", {.value = value, .min = 0.0, .max = 100.0, .step = 0.01}); }
InputSpec model() { return socket("model", "MODEL"); }

NodeType experimental(NodeType type, std::string category) {
  type.category = std::move(category);
  type.is_experimental = true;
  return type;
}

NodeType of_module(NodeType type, std::string module) {
  type.python_module = std::move(module);
  return type;
}

void add_schedules(Registry& registry) {
  registry.add(schedule("BasicScheduler", "Noise levels of a model by one of the usual schedules.",
                        {model(), scheduler_choice("scheduler"), steps_input(20), denoise_input()}, basic_scheduler));
  registry.add(schedule("KarrasScheduler", "Levels that crowd towards the end, after Karras and others (2022).",
                        {steps_input(20), sigma_max(), sigma_min(), rho(7)}, karras_scheduler));
  registry.add(schedule("ExponentialScheduler", "Levels in equal ratios.", {steps_input(20), sigma_max(), sigma_min()},
                        exponential_scheduler));
  registry.add(schedule("PolyexponentialScheduler", "Levels in ratios that themselves bend with rho.",
                        {steps_input(20), sigma_max(), sigma_min(), rho(1)}, polyexponential_scheduler));
  registry.add(schedule("LaplaceScheduler", "Levels drawn together around a middle, as a Laplace distribution.",
                        {steps_input(20), sigma_max(), sigma_min(),
                         exact_number("mu", {.value = 0.0, .min = -10.0, .max = 10.0, .step = 0.1})
                             .help("Logarithm of the level in the middle"),
                         exact_number("beta", {.value = 0.5, .min = 0.0, .max = 10.0, .step = 0.1})
                             .help("How wide levels spread around it")},
                        laplace_scheduler));
  registry.add(
      schedule("VPScheduler", "Levels of the variance preserving diffusion of Song and others (2021).",
               {steps_input(20), exact_number("beta_d", {.value = 19.9, .min = 0.0, .max = 5000.0, .step = 0.01}),
                exact_number("beta_min", {.value = 0.1, .min = 0.0, .max = 5000.0, .step = 0.01}),
                exact_number("eps_s", {.value = 0.001, .min = 0.0, .max = 1.0, .step = 0.0001})},
               vpscheduler));
  registry.add(
      schedule("BetaSamplingScheduler", "Steps placed by a beta distribution: more of them at both ends.",
               {model(), steps_input(20), exact_number("alpha", {.value = 0.6, .min = 0.0, .max = 50.0, .step = 0.01}),
                exact_number("beta", {.value = 0.6, .min = 0.0, .max = 50.0, .step = 0.01})},
               beta_sampling_scheduler));
  registry.add(schedule("SDTurboScheduler", "One to ten steps for models distilled as SD Turbo was.",
                        {model(), steps_input(1, 10), denoise_input()}, sdturbo_scheduler));
  registry.add(
      of_module(schedule("AlignYourStepsScheduler", "Levels optimised for few steps, after Sabour and others (2024).",
                         {choice("model_type", {"SD1", "SDXL", "SVD"}).help("The family the levels were made for"),
                          steps_input(10), denoise_input()},
                         align_your_steps_scheduler),
                "comfy_extras.nodes_align_your_steps"));
  registry.add(experimental(
      schedule("ManualSigmas", "Noise levels as written.",
               {text("sigmas", "1, 0.5").help("Numbers, high to low, with commas between")}, manual_sigmas),
      "_for_testing/custom_sampling"));
}

}  // namespace

void add_sigma_nodes(Registry& registry) {
  add_schedules(registry);
  registry.add(division("SplitSigmas", "Cuts noise levels in two at a step.",
                        integer("step", {.value = 0, .min = 0, .max = 10000}).help("Steps of the first part"),
                        split_sigmas));
  registry.add(division("SplitSigmasDenoise",
                        "Cuts noise levels in two so that the second part is a share of the steps.", denoise_input(),
                        split_sigmas_denoise));
  registry.add(change("FlipSigmas", "Turns noise levels round, from a picture to its noise.",
                      {socket("sigmas", "SIGMAS")}, flip_sigmas));
  registry.add(change(
      "SetFirstSigma", "Replaces the first noise level.",
      {socket("sigmas", "SIGMAS"), exact_number("sigma", {.value = 136.0, .min = 0.0, .max = 20000.0, .step = 0.001})},
      set_first_sigma));
  registry.add(
      change("ExtendIntermediateSigmas", "Puts further levels between those within a range.",
             {socket("sigmas", "SIGMAS"),
              integer("steps", {.value = 2, .min = 1, .max = 100}).help("Steps that become of each one"),
              exact_number("start_at_sigma", {.value = -1.0, .min = -1.0, .max = 20000.0, .step = 0.01})
                  .help("Upper end of the range; below 0: none"),
              exact_number("end_at_sigma", {.value = 12.0, .min = 0.0, .max = 20000.0, .step = 0.01})
                  .help("Lower end of the range"),
              choice("spacing", {"linear", "cosine", "sine"}).help("Where between two levels the new ones lie")},
             extend_intermediate_sigmas));
  NodeType percent = change(
      "SamplingPercentToSigma", "The noise level after a part of the sampling.",
      {model(),
       number("sampling_percent", {.value = 0.0, .min = 0.0, .max = 1.0, .step = 0.0001})
           .help("0: the start, 1: the end"),
       boolean("return_actual_sigma", false).help("At the very ends the model's own level, not one beyond all others")},
      sampling_percent_to_sigma);
  percent.outputs = {{"FLOAT", "sigma_value"}};
  registry.add(std::move(percent));
}

}  // namespace hearth::workflow
