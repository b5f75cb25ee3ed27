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

NodeResult sampler_dpmpp_3m_sde(NodeCall& call) { return with_parameters(call, on_device(call, "dpmpp_3m_sde")); }
NodeResult sampler_dpmpp_2m_sde(NodeCall& call) { return with_parameters(call, on_device(call, "dpmpp_2m_sde")); }
NodeResult sampler_dpmpp_sde(NodeCall& call) { return with_parameters(call, on_device(call, "dpmpp_sde")); }
NodeResult sampler_sa_solver(NodeCall& call) {
  bool evaluates_again = call.flag("use_pece");
  return with_parameters(call, evaluates_again ? "sa_solver_pece" : "sa_solver");
}

// A node that gives one kind of sampler.
NodeType sampler(std::string name, std::string description, std::vector<InputSpec> inputs,
                 std::function<NodeResult(NodeCall&)> run) {
  return {.class_name = std::move(name),
          .category = "sampling/custom_sampling/samplers",
          .description = std::move(description),
          .python_module = "comfy_extras.nodes_custom_sampler",
          .inputs = std::move(inputs),
          .outputs = {{"SAMPLER"}},
          .run = std::move(run)};
}

// The sampler of this name, with what the node says.
std::function<NodeResult(NodeCall&)> named(std::string name) {
  return [name](NodeCall& call) { return with_parameters(call, name); };
}

InputSpec parameter(std::string_view name, double value, double max = 100) {
  return exact_number(name, {.value = value, .min = 0.0, .max = max, .step = 0.01});
}
InputSpec eta(double value = 1, double max = 100) { return parameter("eta", value, max); }
InputSpec s_noise(double max = 100) { return parameter("s_noise", 1.0, max); }
InputSpec solver(std::vector<std::string> kinds) { return choice("solver_type", std::move(kinds)); }
InputSpec noise_device() { return choice("noise_device", {"gpu", "cpu"}); }
InputSpec part_of_sampling(std::string_view name, double value) {
  return number(name, {.value = value, .min = 0.0, .max = 1.0, .step = 0.001});
}

void add_adaptive(Registry& registry) {
  registry.add(
      sampler("SamplerDPMAdaptative", "DPM-Solver with steps as long as the tolerances allow.",
              {integer("order", {.value = 3, .min = 2, .max = 3}),
               parameter("rtol", 0.05).help("Tolerance in parts of the latent"),
               parameter("atol", 0.0078).help("Tolerance beside it"),
               parameter("h_init", 0.05).help("The first step, in log sigma"),
               parameter("pcoeff", 0.0).help("Step control: proportional part"),
               parameter("icoeff", 1.0).help("Step control: integral part"),
               parameter("dcoeff", 0.0).help("Step control: derivative part"),
               parameter("accept_safety", 0.81).help("A step is taken when it may be longer than this of itself"),
               eta(0), s_noise()},
              named("dpm_adaptive")));
}

void add_sa_solver(Registry& registry) {
  registry.add(sampler("SamplerSASolver",
                       "SA-Solver: predictor and corrector with noise in the middle of the sampling.",
                       {socket("model", "MODEL"), eta(1, 10),
                        part_of_sampling("sde_start_percent", 0.2).help("Noise is added from here"),
                        part_of_sampling("sde_end_percent", 0.8).help("Noise is added up to here"), s_noise(),
                        integer("predictor_order", {.value = 3, .min = 1, .max = 6}),
                        integer("corrector_order", {.value = 4, .min = 0, .max = 6}).help("0: no corrector"),
                        boolean("use_pece", false).help("Asks the model again after correcting: twice the time"),
                        boolean("simple_order_2", false).help("Simpler coefficients of order 2")},
                       sampler_sa_solver));
}

}  // namespace

void add_sampler_choice_nodes(Registry& registry) {
  registry.add(sampler("KSamplerSelect", "A sampler by its name, with its usual parameters.",
                       {sampler_choice("sampler_name")}, ksampler_select));
  registry.add(sampler("SamplerEulerAncestral", "Euler steps with fresh noise after each.", {eta(), s_noise()},
                       named("euler_ancestral")));
  NodeType cfg_pp = sampler("SamplerEulerAncestralCFGPP", "Euler ancestral with CFG++: for a CFG between 1 and 2.",
                            {eta(1, 1), s_noise(10)}, named("euler_ancestral_cfg_pp"));
  cfg_pp.display_name = "SamplerEulerAncestralCFG++";
  registry.add(std::move(cfg_pp));
  registry.add(
      sampler("SamplerLMS", "Linear multistep.", {integer("order", {.value = 4, .min = 1, .max = 100})}, named("lms")));
  registry.add(sampler("SamplerDPMPP_3M_SDE", "DPM-Solver++ over three steps, with noise.",
                       {eta(), s_noise(), noise_device()}, sampler_dpmpp_3m_sde));
  registry.add(sampler("SamplerDPMPP_2M_SDE", "DPM-Solver++ over two steps, with noise.",
                       {solver({"midpoint", "heun"}), eta(), s_noise(), noise_device()}, sampler_dpmpp_2m_sde));
  registry.add(sampler("SamplerDPMPP_SDE", "DPM-Solver++ in single steps, with noise.",
                       {eta(), s_noise(), parameter("r", 0.5), noise_device()}, sampler_dpmpp_sde));
  registry.add(sampler("SamplerDPMPP_2S_Ancestral",
                       "DPM-Solver++ in single steps of order 2, with fresh noise after each.", {eta(), s_noise()},
                       named("dpmpp_2s_ancestral")));
  add_adaptive(registry);
  registry.add(sampler(
      "SamplerER_SDE", "Extended reverse-time SDE solver.",
      {solver({"ER-SDE", "Reverse-time SDE", "ODE"}),
       integer("max_stage", {.value = 3, .min = 1, .max = 3}).help("Earlier steps that are used"), eta(), s_noise()},
      named("er_sde")));
  add_sa_solver(registry);
  registry.add(sampler("SamplerSEEDS2", "SEEDS-2: exponential solver in two stages, with noise.",
                       {solver({"phi_1", "phi_2"}), eta(), s_noise(),
                        exact_number("r", {.value = 0.5, .min = 0.01, .max = 1.0, .step = 0.01})},
                       named("seeds_2")));
}

}  // namespace hearth::workflow
