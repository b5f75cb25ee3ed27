// Every sampler's formula, by family; a file each. They take the latent at the first level and give that at the last.
// Steps are numbered i, from level sigma(i) to sigma(i + 1). The papers' names: d the slope towards the model's guess,
// h a step in half log SNR, eta how much of a step is noise.
#pragma once
#include "runtime/diffuse/sampling/samplers/run.h"

namespace hearth::diffuse {

// euler.cpp
Field euler(Run& run, Field x);
Field euler_ancestral(Run& run, Field x);
Field euler_cfg_pp(Run& run, Field x);
Field euler_ancestral_cfg_pp(Run& run, Field x);
// heun.cpp
Field heun(Run& run, Field x);
Field heunpp2(Run& run, Field x);
// dpm2.cpp
Field dpm_2(Run& run, Field x);
Field dpm_2_ancestral(Run& run, Field x);
// linear_multistep.cpp
Field lms(Run& run, Field x);
Field ipndm(Run& run, Field x);
Field ipndm_v(Run& run, Field x);
// deis.cpp
Field deis(Run& run, Field x);
// dpm_solver.cpp
Field dpm_fast(Run& run, Field x);
Field dpm_adaptive(Run& run, Field x);
// dpmpp.cpp
Field dpmpp_2s_ancestral(Run& run, Field x);
Field dpmpp_2s_ancestral_cfg_pp(Run& run, Field x);
Field dpmpp_2m(Run& run, Field x);
Field dpmpp_2m_cfg_pp(Run& run, Field x);
// dpmpp_sde.cpp
Field dpmpp_sde(Run& run, Field x);
Field dpmpp_2m_sde(Run& run, Field x);
Field dpmpp_3m_sde(Run& run, Field x);
// renoise.cpp
Field ddpm(Run& run, Field x);
Field lcm(Run& run, Field x);
// cfg_pp_history.cpp
Field cfgpp_ud10_ab(Run& run, Field x);
// res_multistep.cpp
Field res_multistep(Run& run, Field x);
Field res_multistep_cfg_pp(Run& run, Field x);
Field res_multistep_ancestral(Run& run, Field x);
Field res_multistep_ancestral_cfg_pp(Run& run, Field x);
// gradient_estimation.cpp
Field gradient_estimation(Run& run, Field x);
Field gradient_estimation_cfg_pp(Run& run, Field x);
// er_sde.cpp
Field er_sde(Run& run, Field x);
// seeds.cpp
Field seeds_2(Run& run, Field x);
Field seeds_3(Run& run, Field x);
Field exp_heun_2_x0(Run& run, Field x);
Field exp_heun_2_x0_sde(Run& run, Field x);
// sa_solver.cpp
Field sa_solver(Run& run, Field x);
// uni_pc.cpp
Field uni_pc(Run& run, Field x);
Field uni_pc_bh2(Run& run, Field x);

}  // namespace hearth::diffuse
