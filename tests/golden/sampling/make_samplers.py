"""Writes samplers.safetensors: what every sampler makes of noise with every scheduler and with the parameters its node
takes. The denoiser has a closed form, which src/runtime/diffuse/sampling/testing/analytic.h has too.

    python make_samplers.py COMFYUI     (comfyui.py says what it needs)
"""
from comfyui import Model, ksampler_sigmas, model_samplings, write  # first: it opens ComfyUI
import comfy.model_sampling as ms
import comfy.samplers as cs
import torch
from comfy.k_diffusion import sa_solver
from comfy.sample import prepare_noise

MEANS = {"cond": (-1.2, 0.3, 1.1), "uncond": (-0.7, 0.0, 0.9)}  # of three equal Gaussians
VARIANCE = 0.25


def posterior_mean(x, sigma, means):
    """What the best denoiser makes of x = clean + sigma noise, clean from a mixture; in double, rounded once."""
    x, s2 = x.double(), float(sigma) ** 2
    centres = torch.tensor(means, dtype=torch.float64)
    weights = torch.softmax(-(x[..., None] - centres) ** 2 / (2 * (VARIANCE + s2)), dim=-1)
    return ((weights * (centres * s2 + x[..., None] * VARIANCE)).sum(-1) / (VARIANCE + s2)).float()


def flow_posterior_mean(x, sigma, means):
    """The same for x = sigma noise + (1 - sigma) clean."""
    alpha = 1 - float(sigma)
    if alpha == 0:
        return torch.full_like(x, sum(means) / len(means))
    return posterior_mean((x.double() / alpha), float(sigma) / alpha, means)


class AnalyticGuider(Model):
    """Stands where CFGGuider does: cond and uncond are analytic."""

    def __init__(self, model_sampling, cfg):
        super().__init__(model_sampling)
        self.inner_model = self.model_patcher = self
        self.cfg = cfg

    def __call__(self, x, sigma, model_options={}, seed=None):
        mean = flow_posterior_mean if isinstance(self.model_sampling, ms.CONST) else posterior_mean
        cond, uncond = (mean(x, sigma[0], MEANS[k]) for k in ("cond", "uncond"))
        return cs.cfg_function(self, cond, uncond, self.cfg, x, sigma, model_options=model_options)


def run_sampler(name, sigmas, model_sampling, seed=31, shape=(1, 4, 4, 4), options=None, latent=None, cfg=1.5):
    latent = torch.zeros(shape) if latent is None else latent
    sampler = cs.sampler_object(name)
    sampler.extra_options = dict(options or {})
    seen = []
    result = sampler.sample(AnalyticGuider(model_sampling, cfg), sigmas.clone(), {"model_options": {}, "seed": seed},
                            lambda i, denoised, x, total: seen.append(denoised), prepare_noise(latent, seed), latent)
    return result, seen


# Parameters as the sampler nodes give them; names are sampler;key=value;...
VARIANTS = """
euler_ancestral;eta=0.4;s_noise=0.9
euler_ancestral_cfg_pp;eta=0.4;s_noise=0.9
dpm_2_ancestral;eta=0.3;s_noise=1.1
lms;order=2
lms;order=7
dpm_adaptive;order=2;rtol=0.02
dpm_adaptive;eta=0.5;s_noise=0.8;pcoeff=0.2;dcoeff=0.1;h_init=0.2
dpmpp_2s_ancestral;eta=0.5;s_noise=0.9
dpmpp_2s_ancestral_cfg_pp;eta=0
dpmpp_sde;eta=0.5;s_noise=0.9;r=0.3
dpmpp_sde;eta=0
dpmpp_2m_sde;eta=0.5;s_noise=0.9;solver_type=heun
dpmpp_2m_sde;eta=0;solver_type=midpoint
dpmpp_3m_sde;eta=0.3;s_noise=1.05
dpmpp_3m_sde;eta=0
res_multistep_ancestral;eta=0.5;s_noise=0.9
res_multistep_ancestral_cfg_pp;eta=0.5;s_noise=0.9
gradient_estimation;ge_gamma=2.6
er_sde;solver_type=Reverse-time SDE;eta=0.7;max_stage=3
er_sde;solver_type=ODE;max_stage=2
er_sde;s_noise=0.5;max_stage=1
seeds_2;eta=0.5;s_noise=0.9;r=0.7;solver_type=phi_2
seeds_2;eta=0;solver_type=phi_1
seeds_3;eta=0.5;s_noise=0.9;r_1=0.25;r_2=0.8
exp_heun_2_x0;solver_type=phi_1
exp_heun_2_x0_sde;eta=0.5;s_noise=0.9
sa_solver;eta=0.5;sde_start_percent=0.1;sde_end_percent=0.95;predictor_order=2;corrector_order=2;simple_order_2=1
sa_solver;eta=0;predictor_order=6;corrector_order=6
sa_solver;eta=1;use_pece=1;corrector_order=0
""".strip().splitlines()


def options_of(text, model_sampling):
    options = {}
    for part in text.split(";")[1:]:
        key, value = part.split("=")
        options[key] = value if key == "solver_type" else float(value)
    for key in ("order", "max_stage", "predictor_order", "corrector_order"):
        if key in options:
            options[key] = int(options[key])
    for key in ("use_pece", "simple_order_2"):
        if key in options:
            options[key] = bool(options[key])
    if text.startswith("er_sde"):  # as SamplerER_SDE turns its inputs into arguments
        kind, eta = options.pop("solver_type", "ER-SDE"), options.pop("eta", 1.0)
        if kind == "ODE" or (kind == "Reverse-time SDE" and eta == 0):
            eta, options["s_noise"] = 0, 0
        if kind != "ER-SDE":
            options["noise_scaler"] = lambda x: x ** (eta + 1)
    if text.startswith("sa_solver"):
        start, end = options.pop("sde_start_percent", 0.2), options.pop("sde_end_percent", 0.8)
        options["tau_func"] = sa_solver.get_tau_interval_func(
            model_sampling.percent_to_sigma(start), model_sampling.percent_to_sigma(end), eta=options.pop("eta", 1.0))
    return options


def every_scheduler(name, eps):
    runs = [run_sampler(name, ksampler_sigmas(eps, steps, name, scheduler), eps)
            for steps in (5, 20) for scheduler in cs.SCHEDULER_NAMES]
    seen = runs[cs.SCHEDULER_NAMES.index("karras")][1]
    return {f"grid.{name}": torch.stack([r.flatten() for r, _ in runs]).view(2, len(cs.SCHEDULER_NAMES), -1),
            f"seen.{name}": torch.stack([torch.full((64,), float(len(seen))), seen[-1].flatten()])}


def part_of_a_schedule(name, eps):
    """A batch of two uneven pictures, the middle of a schedule, from a latent, ending above 0."""
    latent = torch.linspace(-1, 1, 2 * 4 * 3 * 2).view(2, 4, 3, 2)
    middle = ksampler_sigmas(eps, 12, name, "normal")[3:9]
    return run_sampler(name, middle, eps, seed=2**40 + 3, latent=latent)[0].flatten()


def main():
    models = model_samplings()
    eps, zsnr, flow = models["eps"], models["v_zsnr"], models["flow"]
    out = {}
    for name in cs.SAMPLER_NAMES:
        out |= every_scheduler(name, eps)
        out[f"part.{name}"] = part_of_a_schedule(name, eps)
        out[f"zsnr.{name}"] = run_sampler(name, ksampler_sigmas(zsnr, 8, name, "sgm_uniform"), zsnr)[0].flatten()
        if name not in ("ddpm", "uni_pc", "uni_pc_bh2", "dpm_fast", "dpm_adaptive"):
            out[f"flow.{name}"] = run_sampler(name, ksampler_sigmas(flow, 8, name, "simple"), flow)[0].flatten()
    for text in VARIANTS:
        name = text.split(";")[0]
        out[f"variant.{text}"] = run_sampler(name, ksampler_sigmas(eps, 10, name, "karras"), eps,
                                             options=options_of(text, eps))[0].flatten()
    write("samplers", out)


if __name__ == "__main__":
    main()
