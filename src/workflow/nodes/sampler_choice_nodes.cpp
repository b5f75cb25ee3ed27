// Samplers by name, or one kind with its parameters.
#include "runtime/diffuse/sampling/sampler.h"
#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

NodeResult chosen(diffuse::SamplerChoice choice) {
  diffuse::check_sampler(choice).value();
  return give(NodeValue::of(std::move(choice)));
}

NodeResult ksampler_select(NodeCall& call) { return chosen({.name = call.text("sampler_name"), .parameters = {}}); }

// Every literal input of the node is a parameter of the sampler, but the device its noise is drawn on.
NodeResult with_parameters(NodeCall& call, std::string name) {
  diffuse::SamplerChoice choice{.name = std::move(name), .parameters = {}};
  for (const InputSpec& input : call.type().inputs) {
    if (input.name == "noise_device" || input.name == "model") continue;
    Value value = call.get<Value>(input.name);
    if (value.is_string()) {
      choice.parameters[input.name] = value.as_string();
    } else {
      choice.parameters[input.name] = value.is_bool() ? (value.as_bool() ? 1.0 : 0.0) : value.as_double();
    }
  }
  return chosen(std::move(choice));
}

// Noise of the graphics card's generator has a sampler name of its own.
std::string on_device(const NodeCall& call, std::string name) {
  return call.text("noise_device") == "cpu" ? name : name + "_gpu";
}

NodeResult sampler_euler_ancestral(NodeCall& call) { return with_parameters(call, "euler_ancestral"); }
NodeResult sampler_euler_ancestral_cfg_pp(NodeCall& call) { return with_parameters(call, "euler_ancestral_cfg_pp"); }
NodeResult sampler_lms(NodeCall& call) { return with_parameters(call, "lms"); }
NodeResult sampler_dpmpp_3m_sde(NodeCall& call) { return with_parameters(call, on_device(call, "dpmpp_3m_sde")); }
NodeResult sampler_dpmpp_2m_sde(NodeCall& call) { return with_parameters(call, on_device(call, "dpmpp_2m_sde")); }
NodeResult sampler_dpmpp_sde(NodeCall& call) { return with_parameters(call, on_device(call, "dpmpp_sde")); }
NodeResult sampler_dpmpp_2s_ancestral(NodeCall& call) { return with_parameters(call, "dpmpp_2s_ancestral"); }
NodeResult sampler_dpm_adaptive(NodeCall& call) { return with_parameters(call, "dpm_adaptive"); }
NodeResult sampler_er_sde(NodeCall& call) { return with_parameters(call, "er_sde"); }
NodeResult sampler_seeds_2(NodeCall& call) { return with_parameters(call, "seeds_2"); }
NodeResult sampler_sa_solver(NodeCall& call) {
  bool evaluates_again = call.flag("use_pece");
  return with_parameters(call, evaluates_again ? "sa_solver_pece" : "sa_solver");
}

}  // namespace

void add_sampler_choice_nodes(Registry& registry) {
  registry.add({.class_name = "KSamplerSelect",
                .category = "sampling/custom_sampling/samplers",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {sampler_choice("sampler_name")},
                .outputs = {{"SAMPLER"}},
                .run = ksampler_select});
  registry.add(
      {.class_name = "SamplerEulerAncestral",
       .category = "sampling/custom_sampling/samplers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {number("eta", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("s_noise", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false)},
       .outputs = {{"SAMPLER"}},
       .run = sampler_euler_ancestral});
  registry.add(
      {.class_name = "SamplerEulerAncestralCFGPP",
       .display_name = "SamplerEulerAncestralCFG++",
       .category = "sampling/custom_sampling/samplers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {number("eta", {.value = 1.0, .min = 0.0, .max = 1.0, .step = 0.01}).with("round", false),
                  number("s_noise", {.value = 1.0, .min = 0.0, .max = 10.0, .step = 0.01}).with("round", false)},
       .outputs = {{"SAMPLER"}},
       .run = sampler_euler_ancestral_cfg_pp});
  registry.add({.class_name = "SamplerLMS",
                .category = "sampling/custom_sampling/samplers",
                .python_module = "comfy_extras.nodes_custom_sampler",
                .inputs = {integer("order", {.value = 4, .min = 1, .max = 100})},
                .outputs = {{"SAMPLER"}},
                .run = sampler_lms});
  registry.add(
      {.class_name = "SamplerDPMPP_3M_SDE",
       .category = "sampling/custom_sampling/samplers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {number("eta", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("s_noise", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  choice("noise_device", {"gpu", "cpu"})},
       .outputs = {{"SAMPLER"}},
       .run = sampler_dpmpp_3m_sde});
  registry.add(
      {.class_name = "SamplerDPMPP_2M_SDE",
       .category = "sampling/custom_sampling/samplers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {choice("solver_type", {"midpoint", "heun"}),
                  number("eta", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("s_noise", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  choice("noise_device", {"gpu", "cpu"})},
       .outputs = {{"SAMPLER"}},
       .run = sampler_dpmpp_2m_sde});
  registry.add(
      {.class_name = "SamplerDPMPP_SDE",
       .category = "sampling/custom_sampling/samplers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {number("eta", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("s_noise", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("r", {.value = 0.5, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  choice("noise_device", {"gpu", "cpu"})},
       .outputs = {{"SAMPLER"}},
       .run = sampler_dpmpp_sde});
  registry.add(
      {.class_name = "SamplerDPMPP_2S_Ancestral",
       .category = "sampling/custom_sampling/samplers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {number("eta", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("s_noise", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false)},
       .outputs = {{"SAMPLER"}},
       .run = sampler_dpmpp_2s_ancestral});
  registry.add(
      {.class_name = "SamplerDPMAdaptative",
       .category = "sampling/custom_sampling/samplers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {integer("order", {.value = 3, .min = 2, .max = 3}),
                  number("rtol", {.value = 0.05, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("atol", {.value = 0.0078, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("h_init", {.value = 0.05, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("pcoeff", {.value = 0.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("icoeff", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("dcoeff", {.value = 0.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("accept_safety", {.value = 0.81, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("eta", {.value = 0.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("s_noise", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false)},
       .outputs = {{"SAMPLER"}},
       .run = sampler_dpm_adaptive});
  registry.add(
      {.class_name = "SamplerER_SDE",
       .category = "sampling/custom_sampling/samplers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {choice("solver_type", {"ER-SDE", "Reverse-time SDE", "ODE"}),
                  integer("max_stage", {.value = 3, .min = 1, .max = 3}),
                  number("eta", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("s_noise", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false)},
       .outputs = {{"SAMPLER"}},
       .run = sampler_er_sde});
  registry.add(
      {.class_name = "SamplerSASolver",
       .category = "sampling/custom_sampling/samplers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {socket("model", "MODEL"),
                  number("eta", {.value = 1.0, .min = 0.0, .max = 10.0, .step = 0.01}).with("round", false),
                  number("sde_start_percent", {.value = 0.2, .min = 0.0, .max = 1.0, .step = 0.001}),
                  number("sde_end_percent", {.value = 0.8, .min = 0.0, .max = 1.0, .step = 0.001}),
                  number("s_noise", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  integer("predictor_order", {.value = 3, .min = 1, .max = 6}),
                  integer("corrector_order", {.value = 4, .min = 0, .max = 6}), boolean("use_pece", false),
                  boolean("simple_order_2", false)},
       .outputs = {{"SAMPLER"}},
       .run = sampler_sa_solver});
  registry.add(
      {.class_name = "SamplerSEEDS2",
       .category = "sampling/custom_sampling/samplers",
       .python_module = "comfy_extras.nodes_custom_sampler",
       .inputs = {choice("solver_type", {"phi_1", "phi_2"}),
                  number("eta", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("s_noise", {.value = 1.0, .min = 0.0, .max = 100.0, .step = 0.01}).with("round", false),
                  number("r", {.value = 0.5, .min = 0.01, .max = 1.0, .step = 0.01}).with("round", false)},
       .outputs = {{"SAMPLER"}},
       .run = sampler_seeds_2});
}

}  // namespace hearth::workflow
