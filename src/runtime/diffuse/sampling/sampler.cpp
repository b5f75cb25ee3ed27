#include "runtime/diffuse/sampling/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/base/check.h"
#include "core/base/nearest.h"
#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

struct Sampler {
  std::string name;
  Field (*run)(Run& run, Field x);
  std::vector<SamplerParameter> parameters;
  bool is_random_inpaint = false;
};

SamplerParameter eta(double fallback = 1, double max = 100) { return {"eta", fallback, 0, max, {}}; }
SamplerParameter s_noise(double max = 100) { return {"s_noise", 1.0, 0, max, {}}; }
SamplerParameter noise_device(const char* fallback) { return {"noise_device", fallback, 0, 0, {"gpu", "cpu"}}; }
SamplerParameter solver_type(const char* fallback, const char* other) {
  return {"solver_type", fallback, 0, 0, {fallback, other}};
}

std::vector<SamplerParameter> adaptive_parameters() {
  return {{"order", 3.0, 2, 3, {}},
          {"rtol", 0.05, 0, 100, {}},
          {"atol", 0.0078, 0, 100, {}},
          {"h_init", 0.05, 0, 100, {}},
          {"pcoeff", 0.0, 0, 100, {}},
          {"icoeff", 1.0, 0, 100, {}},
          {"dcoeff", 0.0, 0, 100, {}},
          {"accept_safety", 0.81, 0, 100, {}},
          eta(0),
          s_noise()};
}

std::vector<SamplerParameter> sa_parameters(double use_pece) {
  return {eta(1, 10),
          {"sde_start_percent", 0.2, 0, 1, {}},
          {"sde_end_percent", 0.8, 0, 1, {}},
          s_noise(),
          {"predictor_order", 3.0, 1, 6, {}},
          {"corrector_order", 4.0, 0, 6, {}},
          {"use_pece", use_pece, 0, 1, {}},
          {"simple_order_2", 0.0, 0, 1, {}}};
}

const std::vector<Sampler>& table() {
  static const std::vector<Sampler> samplers = {
      {"euler", euler, {}},
      {"euler_cfg_pp", euler_cfg_pp, {}},
      {"euler_ancestral", euler_ancestral, {eta(), s_noise()}},
      {"euler_ancestral_cfg_pp", euler_ancestral_cfg_pp, {eta(1, 1), s_noise(10)}},
      {"heun", heun, {}},
      {"heunpp2", heunpp2, {}},
      {"exp_heun_2_x0", exp_heun_2_x0, {solver_type("phi_2", "phi_1")}},
      {"exp_heun_2_x0_sde", exp_heun_2_x0_sde, {solver_type("phi_2", "phi_1"), eta(), s_noise()}},
      {"dpm_2", dpm_2, {}},
      {"dpm_2_ancestral", dpm_2_ancestral, {eta(), s_noise()}},
      {"lms", lms, {{"order", 4.0, 1, 100, {}}}},
      {"dpm_fast", dpm_fast, {}},
      {"dpm_adaptive", dpm_adaptive, adaptive_parameters()},
      {"dpmpp_2s_ancestral", dpmpp_2s_ancestral, {eta(), s_noise()}},
      {"dpmpp_2s_ancestral_cfg_pp", dpmpp_2s_ancestral_cfg_pp, {eta(), s_noise()}},
      {"dpmpp_sde", dpmpp_sde, {eta(), s_noise(), {"r", 0.5, 0, 100, {}}, noise_device("cpu")}},
      {"dpmpp_sde_gpu", dpmpp_sde, {eta(), s_noise(), {"r", 0.5, 0, 100, {}}, noise_device("gpu")}},
      {"dpmpp_2m", dpmpp_2m, {}},
      {"dpmpp_2m_cfg_pp", dpmpp_2m_cfg_pp, {}},
      {"dpmpp_2m_sde", dpmpp_2m_sde, {solver_type("midpoint", "heun"), eta(), s_noise(), noise_device("cpu")}},
      {"dpmpp_2m_sde_gpu", dpmpp_2m_sde, {solver_type("midpoint", "heun"), eta(), s_noise(), noise_device("gpu")}},
      {"dpmpp_2m_sde_heun", dpmpp_2m_sde, {solver_type("heun", "midpoint"), eta(), s_noise(), noise_device("cpu")}},
      {"dpmpp_2m_sde_heun_gpu", dpmpp_2m_sde, {solver_type("heun", "midpoint"), eta(), s_noise(), noise_device("gpu")}},
      {"dpmpp_3m_sde", dpmpp_3m_sde, {eta(), s_noise(), noise_device("cpu")}},
      {"dpmpp_3m_sde_gpu", dpmpp_3m_sde, {eta(), s_noise(), noise_device("gpu")}},
      {"ddpm", ddpm, {}},
      {"lcm", lcm, {}},
      {"ipndm", ipndm, {}},
      {"ipndm_v", ipndm_v, {}},
      {"deis", deis, {}},
      {"cfgpp_ud10_ab", cfgpp_ud10_ab, {}},
      {"res_multistep", res_multistep, {s_noise()}},
      {"res_multistep_cfg_pp", res_multistep_cfg_pp, {s_noise()}},
      {"res_multistep_ancestral", res_multistep_ancestral, {eta(), s_noise()}},
      {"res_multistep_ancestral_cfg_pp", res_multistep_ancestral_cfg_pp, {eta(), s_noise()}},
      {"gradient_estimation", gradient_estimation, {{"ge_gamma", 2.0, 0, 100, {}}}},
      {"gradient_estimation_cfg_pp", gradient_estimation_cfg_pp, {{"ge_gamma", 2.0, 0, 100, {}}}},
      {"er_sde",
       er_sde,
       {{"solver_type", "ER-SDE", 0, 0, {"ER-SDE", "Reverse-time SDE", "ODE"}},
        {"max_stage", 3.0, 1, 3, {}},
        eta(),
        s_noise()}},
      {"seeds_2", seeds_2, {solver_type("phi_1", "phi_2"), eta(), s_noise(), {"r", 0.5, 0.01, 1, {}}}},
      {"seeds_3", seeds_3, {eta(), s_noise(), {"r_1", 1.0 / 3, 0.01, 1, {}}, {"r_2", 2.0 / 3, 0.01, 1, {}}}},
      {"sa_solver", sa_solver, sa_parameters(0)},
      {"sa_solver_pece", sa_solver, sa_parameters(1)},
      {"ddim", euler, {}, true},
      {"uni_pc", uni_pc, {}},
      {"uni_pc_bh2", uni_pc_bh2, {}},
  };
  return samplers;
}

const Sampler* find(std::string_view name) {
  auto found = std::find_if(table().begin(), table().end(), [&](const Sampler& s) { return s.name == name; });
  return found == table().end() ? nullptr : &*found;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string trimmed(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

Result<void> check_value(const std::string& sampler, const SamplerParameter& parameter, const SamplerValue& value) {
  const std::string what = sampler + "'s " + parameter.name;
  if (!parameter.choices.empty()) {
    const std::string* text = std::get_if<std::string>(&value);
    if (text && std::count(parameter.choices.begin(), parameter.choices.end(), *text)) return {};
    return unexpected(Code::kInvalidArgument, what + " is one of " + joined(parameter.choices) + ", not " +
                                                  (text ? "'" + *text + "'" : "a number"));
  }
  const double* number = std::get_if<double>(&value);
  if (number && *number >= parameter.min && *number <= parameter.max) return {};
  return unexpected(Code::kInvalidArgument, what + " is a number from " + trimmed(parameter.min) + " to " +
                                                trimmed(parameter.max) + ", not " +
                                                (number ? trimmed(*number) : "'" + std::get<std::string>(value) + "'"));
}

/// Every parameter with its value: the choice's, else the default.
std::map<std::string, SamplerValue> values_of(const Sampler& sampler, const SamplerChoice& choice) {
  std::map<std::string, SamplerValue> values = choice.parameters;
  for (const SamplerParameter& parameter : sampler.parameters) values.try_emplace(parameter.name, parameter.fallback);
  return values;
}

}  // namespace

const std::vector<std::string>& sampler_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Sampler& sampler : table()) all.push_back(sampler.name);
    return all;
  }();
  return names;
}

bool is_sampler(std::string_view name) { return find(name) != nullptr; }

const std::vector<SamplerParameter>& sampler_parameters(std::string_view name) {
  static const std::vector<SamplerParameter> none;
  const Sampler* sampler = find(name);
  return sampler ? sampler->parameters : none;
}

Result<void> check_sampler(const SamplerChoice& choice) {
  const Sampler* sampler = find(choice.name);
  if (!sampler) {
    std::string near = nearest_name(choice.name, sampler_names());
    return unexpected(Code::kInvalidArgument, "no sampler is named '" + choice.name + "'" +
                                                  (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
  for (const auto& [name, value] : choice.parameters) {
    auto named = [&](const SamplerParameter& p) { return p.name == name; };
    auto parameter = std::find_if(sampler->parameters.begin(), sampler->parameters.end(), named);
    if (parameter == sampler->parameters.end())
      return unexpected(Code::kInvalidArgument, choice.name + " has no parameter '" + name + "'");
    if (auto valid = check_value(choice.name, *parameter, value); !valid) return valid;
  }
  return {};
}

bool discards_penultimate_sigma(std::string_view name) {
  return name == "dpm_2" || name == "dpm_2_ancestral" || name == "uni_pc" || name == "uni_pc_bh2";
}

bool has_random_inpaint_noise(std::string_view name) {
  const Sampler* sampler = find(name);
  return sampler && sampler->is_random_inpaint;
}

Field sample(const SamplerChoice& choice, Denoiser& denoiser, Field x, std::span<const float> sigmas,
             const SamplerSetup& setup) {
  check_sampler(choice).value();
  check(x.size() == setup.shape.numel(), "the latent to sample has its shape's size");
  if (sigmas.size() < 2) return x;
  const Sampler& sampler = *find(choice.name);
  const auto values = values_of(sampler, choice);
  Run run(denoiser, sigmas, setup, values);
  return sampler.run(run, std::move(x));
}

}  // namespace hearth::diffuse
