// Lists of noise levels: made by schedules, cut and changed.
#include "workflow/nodes/common.h"
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

}  // namespace

void add_sigma_nodes(Registry& registry) {
  registry.add({.class_name = "BasicScheduler",
                .category = "sampling/custom_sampling/schedulers",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("model", "MODEL"), scheduler_choice("scheduler"),
                           integer("steps", {.value = 20, .min = 1, .max = 10000}),
                           number("denoise", {.value = 1.0, .min = 0.0, .max = 1.0, .step = 0.01})},
                .outputs = {{"SIGMAS"}},
                .run = basic_scheduler});
  registry.add(
      {.class_name = "KarrasScheduler",
       .category = "sampling/custom_sampling/schedulers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs =
           {integer("steps", {.value = 20, .min = 1, .max = 10000}),
            number("sigma_max", {.value = 14.614642, .min = 0.0, .max = 5000.0, .step = 0.01}).with("round", false),
            number("sigma_min", {.value = 0.0291675, .min = 0.0, .max = 5000.0, .step = 0.01}).with("round", false),
            number("rho", {.value = 7.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false)},
       .outputs = {{"SIGMAS"}},
       .run = karras_scheduler});
  registry.add(
      {.class_name = "ExponentialScheduler",
       .category = "sampling/custom_sampling/schedulers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs =
           {integer("steps", {.value = 20, .min = 1, .max = 10000}),
            number("sigma_max", {.value = 14.614642, .min = 0.0, .max = 5000.0, .step = 0.01}).with("round", false),
            number("sigma_min", {.value = 0.0291675, .min = 0.0, .max = 5000.0, .step = 0.01}).with("round", false)},
       .outputs = {{"SIGMAS"}},
       .run = exponential_scheduler});
  registry.add(
      {.class_name = "PolyexponentialScheduler",
       .category = "sampling/custom_sampling/schedulers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs =
           {integer("steps", {.value = 20, .min = 1, .max = 10000}),
            number("sigma_max", {.value = 14.614642, .min = 0.0, .max = 5000.0, .step = 0.01}).with("round", false),
            number("sigma_min", {.value = 0.0291675, .min = 0.0, .max = 5000.0, .step = 0.01}).with("round", false),
            number("rho", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false)},
       .outputs = {{"SIGMAS"}},
       .run = polyexponential_scheduler});
  registry.add(
      {.class_name = "LaplaceScheduler",
       .category = "sampling/custom_sampling/schedulers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs =
           {integer("steps", {.value = 20, .min = 1, .max = 10000}),
            number("sigma_max", {.value = 14.614642, .min = 0.0, .max = 5000.0, .step = 0.01}).with("round", false),
            number("sigma_min", {.value = 0.0291675, .min = 0.0, .max = 5000.0, .step = 0.01}).with("round", false),
            number("mu", {.value = 0.0, .min = -10.0, .max = 10.0, .step = 0.1}).with("round", false),
            number("beta", {.value = 0.5, .min = 0.0, .max = 10.0, .step = 0.1}).with("round", false)},
       .outputs = {{"SIGMAS"}},
       .run = laplace_scheduler});
  registry.add(
      {.class_name = "VPScheduler",
       .category = "sampling/custom_sampling/schedulers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {integer("steps", {.value = 20, .min = 1, .max = 10000}),
                  number("beta_d", {.value = 19.9, .min = 0.0, .max = 5000.0, .step = 0.01}).with("round", false),
                  number("beta_min", {.value = 0.1, .min = 0.0, .max = 5000.0, .step = 0.01}).with("round", false),
                  number("eps_s", {.value = 0.001, .min = 0.0, .max = 1.0, .step = 0.0001}).with("round", false)},
       .outputs = {{"SIGMAS"}},
       .run = vpscheduler});
  registry.add({.class_name = "BetaSamplingScheduler",
                .category = "sampling/custom_sampling/schedulers",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("model", "MODEL"), integer("steps", {.value = 20, .min = 1, .max = 10000}),
                           number("alpha", {.value = 0.6, .min = 0.0, .max = 50.0, .step = 0.01}).with("round", false),
                           number("beta", {.value = 0.6, .min = 0.0, .max = 50.0, .step = 0.01}).with("round", false)},
                .outputs = {{"SIGMAS"}},
                .run = beta_sampling_scheduler});
  registry.add({.class_name = "SDTurboScheduler",
                .category = "sampling/custom_sampling/schedulers",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("model", "MODEL"), integer("steps", {.value = 1, .min = 1, .max = 10}),
                           number("denoise", {.value = 1.0, .min = 0, .max = 1.0, .step = 0.01})},
                .outputs = {{"SIGMAS"}},
                .run = sdturbo_scheduler});
  registry.add({.class_name = "ManualSigmas",
                .category = "_for_testing/custom_sampling",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {text("sigmas", "1, 0.5")},
                .outputs = {{"SIGMAS"}},
                .is_experimental = true,
                .run = manual_sigmas});
  registry.add({.class_name = "SplitSigmas",
                .category = "sampling/custom_sampling/sigmas",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("sigmas", "SIGMAS"), integer("step", {.value = 0, .min = 0, .max = 10000})},
                .outputs = {{"SIGMAS", "high_sigmas"}, {"SIGMAS", "low_sigmas"}},
                .run = split_sigmas});
  registry.add(
      {.class_name = "SplitSigmasDenoise",
       .category = "sampling/custom_sampling/sigmas",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {socket("sigmas", "SIGMAS"), number("denoise", {.value = 1.0, .min = 0.0, .max = 1.0, .step = 0.01})},
       .outputs = {{"SIGMAS", "high_sigmas"}, {"SIGMAS", "low_sigmas"}},
       .run = split_sigmas_denoise});
  registry.add({.class_name = "FlipSigmas",
                .category = "sampling/custom_sampling/sigmas",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("sigmas", "SIGMAS")},
                .outputs = {{"SIGMAS"}},
                .run = flip_sigmas});
  registry.add(
      {.class_name = "SetFirstSigma",
       .category = "sampling/custom_sampling/sigmas",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {socket("sigmas", "SIGMAS"),
                  number("sigma", {.value = 136.0, .min = 0.0, .max = 20000.0, .step = 0.001}).with("round", false)},
       .outputs = {{"SIGMAS"}},
       .run = set_first_sigma});
  registry.add(
      {.class_name = "ExtendIntermediateSigmas",
       .category = "sampling/custom_sampling/sigmas",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs =
           {socket("sigmas", "SIGMAS"), integer("steps", {.value = 2, .min = 1, .max = 100}),
            number("start_at_sigma", {.value = -1.0, .min = -1.0, .max = 20000.0, .step = 0.01}).with("round", false),
            number("end_at_sigma", {.value = 12.0, .min = 0.0, .max = 20000.0, .step = 0.01}).with("round", false),
            choice("spacing", {"linear", "cosine", "sine"})},
       .outputs = {{"SIGMAS"}},
       .run = extend_intermediate_sigmas});
  registry.add({.class_name = "SamplingPercentToSigma",
                .category = "sampling/custom_sampling/sigmas",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {socket("model", "MODEL"),
                           number("sampling_percent", {.value = 0.0, .min = 0.0, .max = 1.0, .step = 0.0001}),
                           boolean("return_actual_sigma", false)},
                .outputs = {{"FLOAT", "sigma_value"}},
                .run = sampling_percent_to_sigma});
}

}  // namespace hearth::workflow
