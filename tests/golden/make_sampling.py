"""Writes tests/golden/sampling/*.safetensors: what ComfyUI makes of noise, schedules, samplers and guidance.

Run by a Python that has torch (CPU), torchsde and safetensors, with the path of a ComfyUI source tree:
    python make_sampling.py COMFYUI [noise] [schedules] [samplers] [guidance]
Every number comes from ComfyUI, torch, torchsde or numpy themselves on the CPU in float32. The analytic denoiser and
the analytic model are defined here and, the same, in the C++ tests. The kept files come from torch 2.6.0 with AVX-512
and ComfyUI 0.8.0.
"""
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

OUT = Path(__file__).parent / "sampling"


def write(name, tensors):
    OUT.mkdir(exist_ok=True)
    save_file({key: value.contiguous() for key, value in tensors.items()}, OUT / f"{name}.safetensors")


# ---- noise ----------------------------------------------------------------------------------------------------------

def noise():
    import torchsde
    from comfy.k_diffusion.sampling import BrownianTreeNoiseSampler, default_noise_sampler
    from comfy.sample import prepare_noise
    out = {}

    def seeded(seed):
        return torch.Generator().manual_seed(seed)
    for seed in (0, 1, 42, 0xFFFFFFFF, 0x123456789ABCDEF0):
        for count in (1, 7, 15, 16, 17, 31, 64, 250):
            out[f"randn.{seed}.{count}"] = torch.randn(count, generator=seeded(seed))
    g = seeded(5)  # one stream: an odd count leaves a number over, blocks do not touch it
    out["stream"] = torch.cat([torch.randn(n, generator=g) for n in (3, 16, 2, 20, 1)])
    big = torch.randn(1 << 18, generator=seeded(7))
    out["long.bits"] = big.view(torch.int32).to(torch.int64).cumsum(0)[4095::4096]  # every bit of a long draw counts
    out["uniform"] = torch.rand(64, generator=seeded(3))
    out["uniform_double"] = torch.rand(16, generator=seeded(3), dtype=torch.float64)
    out["randint"] = torch.cat([torch.randint(0, 10, (8,), generator=seeded(9)),
                                torch.randint(-5, 2**40, (8,), generator=seeded(9)),
                                torch.randint(0, 2**63 - 1, (8,), generator=seeded(9))])
    latent = torch.zeros(3, 4, 2, 3)
    out["prepare.batch"] = prepare_noise(latent, 77)
    out["prepare.index"] = prepare_noise(latent, 77, [4, 1, 1])
    ancestral = default_noise_sampler(latent, seed=77)
    out["ancestral"] = torch.stack([ancestral(None, None) for _ in range(2)])
    for name, seed in (("zero", 0), ("small", 3), ("wide", 0xFEDCBA9876543210)):
        words = [np.random.SeedSequence(seed, pool_size=24).generate_state(3)]
        words += [np.random.SeedSequence(seed, spawn_key=key, pool_size=24).generate_state(4)
                  for key in ((0, 0), (5, 3), (2**33 + 1, 34))]
        out[f"seed_sequence.{name}"] = torch.from_numpy(np.concatenate(words).astype(np.int64))
    x = torch.zeros(1, 4, 3, 3)
    levels = torch.tensor([14.614642, 9.3, 4.0, 1.2345678, 0.5, 0.0291675])
    for seed in (0, 12345, 2**63 + 9):
        sampler = BrownianTreeNoiseSampler(x, levels[-1], levels[0], seed=seed, cpu=True)
        spans = [(i, i + 1) for i in range(5)] + [(1, 4), (0, 5), (4, 2)]
        out[f"brownian.{seed}"] = torch.stack([sampler(levels[a], levels[b])[0].flatten() for a, b in spans])
    tree = torchsde.BrownianTree(0.0, torch.zeros(16), 1.0, entropy=3)
    out["tree"] = torch.stack([tree(0.25, 0.75), tree(0.1, 0.100001), tree(0.0, 1.0), tree(0.333333, 0.9)])
    write("noise", out)


# ---- model sampling and schedules -----------------------------------------------------------------------------------

def discrete(prediction="eps", zsnr=False):
    import comfy.model_sampling as ms
    from comfy_extras.nodes_model_advanced import LCM, ModelSamplingDiscreteDistilled
    kinds = {"eps": ms.EPS, "v": ms.V_PREDICTION, "lcm": LCM, "x0": ms.X0, "img_to_img": ms.IMG_TO_IMG}
    base = ModelSamplingDiscreteDistilled if prediction == "lcm" else ms.ModelSamplingDiscrete

    class Discrete(base, kinds[prediction]):
        pass
    return Discrete(None, zsnr=zsnr)


def mixed(base, kind, *parameters):
    class Mixed(base, kind):
        pass
    model = Mixed(None)
    model.set_parameters(*parameters)
    return model


def model_samplings():
    import comfy.model_sampling as ms
    return {
        "eps": discrete(), "v_zsnr": discrete("v", True), "lcm": discrete("lcm"), "x0": discrete("x0"),
        "img_to_img": discrete("img_to_img"),
        "edm": mixed(ms.ModelSamplingContinuousEDM, ms.EDM, 0.002, 120.0, 0.5),
        "edm_v": mixed(ms.ModelSamplingContinuousEDM, ms.V_PREDICTION, 0.002, 120.0, 1.0),
        "continuous_v": mixed(ms.ModelSamplingContinuousV, ms.V_PREDICTION, 0.03, 500.0, 1.0),
        "flow": mixed(ms.ModelSamplingDiscreteFlow, ms.CONST, 3.0),
        "aura": mixed(ms.ModelSamplingDiscreteFlow, ms.CONST, 1.73, 1000, 1.0),
        "flux": mixed(ms.ModelSamplingFlux, ms.CONST, 1.15),
        "cosmos": mixed(ms.ModelSamplingCosmosRFlow, ms.COSMOS_RFLOW, 0.002, 80.0, 1.0),
    }


SCHEDULE_STEPS = (1, 2, 5, 20, 31)
PERCENTS = (0.0, 0.1, 0.2, 0.5, 0.8, 0.999, 1.0)


def schedules():
    import comfy.samplers as cs
    import comfy_extras.nodes_custom_sampler as nodes
    out = {}
    x = torch.tensor([-1.5, 0.0, 0.25, 3.0]).view(4, 1, 1, 1)
    output = torch.tensor([0.5, -1.0, 2.0, -0.125]).view(4, 1, 1, 1)
    for name, model in model_samplings().items():
        stride = 499 if name == "flux" else 37 if len(model.sigmas) == 1000 else 3
        out[f"{name}.sigmas"] = model.sigmas[::stride]
        out[f"{name}.ends"] = torch.stack([model.sigma_min, model.sigma_max])
        levels = model.sigmas[::stride].clone()
        levels[1:-1] *= 1.01
        out[f"{name}.levels"] = levels
        out[f"{name}.timesteps"] = torch.stack([model.timestep(s).float() for s in levels])
        asked = out[f"{name}.timesteps"] * 0.99
        out[f"{name}.asked"] = asked
        out[f"{name}.sigma_of"] = torch.stack([torch.as_tensor(model.sigma(t)).float() for t in asked])
        out[f"{name}.percent"] = torch.tensor([float(model.percent_to_sigma(p)) for p in PERCENTS], dtype=torch.float64)
        sigma = model.sigmas[len(model.sigmas) // 2].expand(4)
        out[f"{name}.input"] = model.calculate_input(sigma, x).flatten()
        out[f"{name}.denoised"] = model.calculate_denoised(sigma, output, x).flatten()
        out[f"{name}.noised"] = torch.cat([model.noise_scaling(sigma, output.clone(), x, max_denoise=m).flatten()
                                           for m in (False, True)])
        out[f"{name}.unscaled"] = model.inverse_noise_scaling(sigma, x).flatten()
        for scheduler in cs.SCHEDULER_NAMES:
            for steps in SCHEDULE_STEPS:
                if scheduler == "kl_optimal" and steps == 1:
                    continue  # not a number there
                out[f"{name}.{scheduler}.{steps}"] = cs.calculate_sigmas(model, scheduler, steps)
    eps = model_samplings()["eps"]

    class Model:
        def get_model_object(self, _):
            return eps
    for sampler in ("euler", "uni_pc"):
        for scheduler in cs.SCHEDULER_NAMES:
            for denoise in (1.0, 0.75, 0.5, 0.03):
                k = cs.KSampler(Model(), 6, "cpu", sampler=sampler, scheduler=scheduler, denoise=denoise)
                out[f"ksampler.{sampler}.{scheduler}.{denoise}"] = k.sigmas
    for denoise in (1.0, 0.5, 0.03):
        out[f"basic.{denoise}"] = nodes.BasicScheduler.execute(Model(), "karras", 6, denoise)[0]
        out[f"turbo.{denoise}"] = nodes.SDTurboScheduler.execute(Model(), 4, denoise)[0]
    from comfy_extras.nodes_align_your_steps import AlignYourStepsScheduler
    for family, steps, denoise in (("SDXL", 10, 1.0), ("SDXL", 23, 1.0), ("SD1", 4, 1.0), ("SVD", 25, 0.5)):
        out[f"aligned.{family}.{steps}"] = AlignYourStepsScheduler.execute(family, steps, denoise)[0]
    n = 7
    out["karras"] = nodes.KarrasScheduler.execute(n, 14.614642, 0.0291675, 5.0)[0]
    out["exponential"] = nodes.ExponentialScheduler.execute(n, 14.614642, 0.0291675)[0]
    out["polyexponential"] = nodes.PolyexponentialScheduler.execute(n, 14.614642, 0.0291675, 1.7)[0]
    out["laplace"] = nodes.LaplaceScheduler.execute(n, 14.614642, 0.0291675, 0.3, 0.7)[0]
    out["vp"] = nodes.VPScheduler.execute(n, 19.9, 0.1, 0.001)[0]
    for a, b in ((0.6, 0.6), (1.0, 1.0), (0.3, 2.5), (5.0, 0.9)):
        out[f"beta.{a}.{b}"] = nodes.BetaSamplingScheduler.execute(Model(), 16, a, b)[0]
    out["manual"] = nodes.ManualSigmas.execute("14.6, 7 and -.5;+1.25 3.")[0]
    base = out["karras"]
    for step in (0, 3, 50):
        out[f"split.{step}.high"], out[f"split.{step}.low"] = nodes.SplitSigmas.execute(base, step).result
    for denoise in (0.0, 0.5, 1.0):
        high, low = nodes.SplitSigmasDenoise.execute(base, denoise).result
        out[f"split_denoise.{denoise}.high"], out[f"split_denoise.{denoise}.low"] = high.clone(), low.clone()
    out["flip"] = nodes.FlipSigmas.execute(base)[0]
    out["first"] = nodes.SetFirstSigma.execute(base, 20.0)[0]
    for spacing in ("linear", "cosine", "sine"):
        out[f"extend.{spacing}"] = nodes.ExtendIntermediateSigmas.execute(base, 3, 12.0, 1.0, spacing)[0]
    out["exp.x"], out["tan.x"] = torch.linspace(-14, 9, 512), torch.linspace(0, 1.56, 512)
    out["pow.x"] = torch.linspace(0.3, 2, 70)  # two vectors' worth twice, and a rest
    out["exp.y"], out["tan.y"], out["pow.y"] = out["exp.x"].exp(), out["tan.x"].tan(), out["pow.x"] ** 7.0
    write("schedules", {key: value.clone() for key, value in out.items()})


# ---- samplers -------------------------------------------------------------------------------------------------------

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


class AnalyticGuider:
    """Stands where CFGGuider does: cond and uncond are analytic."""

    def __init__(self, model_sampling, cfg):
        self.inner_model = self
        self.model_sampling = model_sampling
        self.model_patcher = self
        self.cfg = cfg

    def get_model_object(self, _):
        return self.model_sampling

    def __call__(self, x, sigma, model_options={}, seed=None):
        import comfy.model_sampling as ms
        from comfy.samplers import cfg_function
        mean = flow_posterior_mean if isinstance(self.model_sampling, ms.CONST) else posterior_mean
        cond, uncond = (mean(x, sigma[0], MEANS[k]) for k in ("cond", "uncond"))
        return cfg_function(self, cond, uncond, self.cfg, x, sigma, model_options=model_options)


def run_sampler(name, sigmas, model_sampling, seed=31, shape=(1, 4, 4, 4), options=None, latent=None, cfg=1.5):
    import comfy.samplers as cs
    from comfy.sample import prepare_noise
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
    from comfy.k_diffusion import sa_solver
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


def samplers():
    import comfy.samplers as cs
    models = model_samplings()
    eps = models["eps"]

    def levels(model, sampler, scheduler, steps):
        class Model:
            def get_model_object(self, _):
                return model
        return cs.KSampler(Model(), steps, "cpu", sampler=sampler, scheduler=scheduler).sigmas
    out = {}
    for name in cs.SAMPLER_NAMES:
        runs = [run_sampler(name, levels(eps, name, scheduler, steps), eps)
                for steps in (5, 20) for scheduler in cs.SCHEDULER_NAMES]
        out[f"grid.{name}"] = torch.stack([r.flatten() for r, _ in runs]).view(2, len(cs.SCHEDULER_NAMES), -1)
        seen = runs[cs.SCHEDULER_NAMES.index("karras")][1]
        out[f"seen.{name}"] = torch.stack([torch.full((64,), float(len(seen))), seen[-1].flatten()])
        # a batch of two uneven pictures, the middle of a schedule, from a latent, ending above 0
        latent = torch.linspace(-1, 1, 2 * 4 * 3 * 2).view(2, 4, 3, 2)
        middle = levels(eps, name, "normal", 12)[3:9]
        out[f"part.{name}"] = run_sampler(name, middle, eps, seed=2**40 + 3, latent=latent)[0].flatten()
        zsnr = models["v_zsnr"]
        out[f"zsnr.{name}"] = run_sampler(name, levels(zsnr, name, "sgm_uniform", 8), zsnr)[0].flatten()
        if name not in ("ddpm", "uni_pc", "uni_pc_bh2", "dpm_fast", "dpm_adaptive"):
            flow = models["flow"]
            out[f"flow.{name}"] = run_sampler(name, levels(flow, name, "simple", 8), flow)[0].flatten()
    for text in VARIANTS:
        name = text.split(";")[0]
        out[f"variant.{text}"] = run_sampler(name, levels(eps, name, "karras", 10), eps,
                                             options=options_of(text, eps))[0].flatten()
    write("samplers", out)


# ---- guidance -------------------------------------------------------------------------------------------------------

class AnalyticUnet(torch.nn.Module):
    """Stands where the UNet does. What it gives depends on place, timestep, the means of text and size vector, and
    the appended channels, so that a wrong crop, repetition or row shows. In double, rounded once."""
    dtype = torch.float32

    def forward(self, x, timesteps, context=None, y=None, control=None, transformer_options={}, **_):
        x = x.double()
        out = 0.6 * x[:, :4]
        out[..., 1:] += 0.15 * x[:, :4, :, :-1]
        out[:, :, 1:] -= 0.1 * x[:, :4, :-1]
        tell = 0.3 * context.double().mean(dim=(1, 2)) + 0.0002 * timesteps.double()
        if y is not None:
            tell = tell + 0.5 * y.double().mean(dim=1)
        channel = torch.tensor([1.0, -0.5, 0.25, 2.0], dtype=torch.float64)
        out += tell[:, None, None, None] * channel[:, None, None]
        for c in range(4, x.shape[1]):
            out += 0.02 * (c - 3) * x[:, c:c + 1]
        return out.float()


def unet_model(kind, prediction):
    import types
    import comfy.latent_formats
    import comfy.model_base as mb
    config = types.SimpleNamespace(
        unet_config={"disable_unet_model_creation": True}, latent_format=comfy.latent_formats.LatentFormat(),
        manual_cast_dtype=None, custom_operations=None, memory_usage_factor=0.1, sampling_settings={}, optimizations={})
    if prediction == "playground":
        config.latent_format = comfy.latent_formats.SDXL_Playground_2_5()
    cls = {"sd1": mb.BaseModel, "inpaint": mb.BaseModel, "sdxl": mb.SDXL, "refiner": mb.SDXLRefiner}[kind]
    model = cls(config, model_type=mb.ModelType.V_PREDICTION if prediction == "v" else mb.ModelType.EPS)
    if kind == "inpaint":
        model.set_inpaint()
    if prediction == "playground":
        import comfy.model_sampling as ms
        model.model_sampling = mixed(ms.ModelSamplingContinuousEDM, ms.EDM, 0.002, 80.0, 0.5)
    model.diffusion_model = AnalyticUnet()
    model.current_patcher = types.SimpleNamespace(prepare_state=lambda t: None, apply_hooks=lambda hooks: {})
    return model


WHOLE, NEGATIVE = {"context": "c6"}, {"context": "n6"}
SCENARIOS = {
    "plain": {"positive": [WHOLE], "negative": [NEGATIVE], "cfg": 5.0},
    "cfg_1": {"positive": [WHOLE], "negative": [NEGATIVE], "cfg": 1.0, "sampler": "dpmpp_2m"},
    "basic": {"kind": "basic", "positive": [WHOLE]},
    "no_negative": {"positive": [WHOLE], "negative": [], "cfg": 2.0},
    "two_prompts": {"positive": [WHOLE, {"context": "b4", "strength": 0.4}], "negative": [NEGATIVE], "cfg": 4.0},
    "texts_that_fit": {"positive": [WHOLE, {"context": "b4"}], "negative": [{"context": "t12"}], "cfg": 3.0},
    "texts_that_do_not": {"positive": [{"context": "s17"}, WHOLE], "negative": [{"context": "t3"}], "cfg": 3.0},
    "area": {"positive": [WHOLE, {"context": "b4", "area": [9, 6, 4, 3], "strength": 0.8}], "negative": [NEGATIVE],
             "cfg": 4.0},
    "areas_in_corners": {"positive": [{"context": "c6", "area": [10, 12, 0, 0]},
                                      {"context": "b4", "area": [10, 8, 6, 4], "strength": 1.5}],
                         "negative": [NEGATIVE, {"context": "t3", "area": [12, 12, 4, 0]}], "cfg": 3.0},
    "area_beyond_the_edge": {"positive": [WHOLE, {"context": "b4", "area": [40, 40, 9, 7]}], "negative": [NEGATIVE],
                             "cfg": 2.0},
    "area_in_parts": {"positive": [WHOLE, {"context": "b4", "fraction": [0.5, 0.3, 0.25, 0.45]}],
                      "negative": [NEGATIVE], "cfg": 4.0},
    "area_only": {"positive": [{"context": "b4", "area": [8, 8, 2, 2]}], "negative": [NEGATIVE], "cfg": 2.0},
    "mask": {"positive": [WHOLE, {"context": "b4", "mask": "small", "mask_strength": 0.7}], "negative": [NEGATIVE],
             "cfg": 4.0},
    "mask_bounds": {"positive": [WHOLE, {"context": "b4", "mask": "corner", "mask_strength": 1.3, "bounds": True}],
                    "negative": [NEGATIVE], "cfg": 4.0},
    "empty_mask": {"positive": [WHOLE, {"context": "b4", "mask": "empty", "bounds": True}], "negative": [NEGATIVE],
                   "cfg": 4.0},
    "mask_of_a_batch": {"batch": 2, "positive": [WHOLE, {"context": "b4", "mask": "two"}], "negative": [NEGATIVE],
                        "cfg": 4.0},
    "ranges": {"positive": [{"context": "c6", "start": 0.0, "end": 0.45}, {"context": "b4", "start": 0.45, "end": 1.0}],
               "negative": [NEGATIVE], "cfg": 4.0, "steps": 7},
    "nothing_applies": {"positive": [{"context": "c6", "start": 0.3, "end": 0.6}], "negative": [NEGATIVE], "cfg": 3.0,
                        "steps": 6},
    "noise_mask": {"batch": 2, "latent": True, "noise_mask": "small", "positive": [WHOLE], "negative": [NEGATIVE],
                   "cfg": 3.0, "sampler": "euler_ancestral"},
    "noise_mask_ddim": {"latent": True, "noise_mask": "two", "positive": [WHOLE], "negative": [NEGATIVE], "cfg": 3.0,
                        "sampler": "ddim"},
    "noise_mask_sde": {"latent": True, "noise_mask": "corner", "positive": [WHOLE], "negative": [NEGATIVE], "cfg": 3.0,
                       "sampler": "dpmpp_2m_sde", "denoise": 0.6},
    "image_to_image": {"batch": 2, "latent": True, "positive": [WHOLE], "negative": [NEGATIVE], "cfg": 3.0,
                       "denoise": 0.5, "sampler": "dpmpp_2m"},
    "leftover_noise": {"latent": True, "positive": [WHOLE], "negative": [NEGATIVE], "cfg": 3.0, "end_step": 3},
    "rescale": {"batch": 2, "positive": [WHOLE], "negative": [NEGATIVE], "cfg": 6.0, "rescale": 0.7, "prediction": "v"},
    "rescale_eps": {"positive": [WHOLE], "negative": [NEGATIVE], "cfg": 6.0, "rescale": 0.3},
    "dual": {"kind": "dual", "positive": [WHOLE], "middle": [{"context": "b4"}], "negative": [NEGATIVE], "cfg": 4.0,
             "cfg_middle": 2.0},
    "dual_at_1": {"kind": "dual", "positive": [WHOLE], "middle": [{"context": "b4"}], "negative": [NEGATIVE],
                  "cfg": 3.0, "cfg_middle": 1.0},
    "dual_both_at_1": {"kind": "dual", "positive": [WHOLE], "middle": [{"context": "b4"}], "negative": [NEGATIVE],
                       "cfg": 1.0, "cfg_middle": 1.0},
    "dual_nested": {"kind": "dual_nested", "positive": [WHOLE], "middle": [{"context": "b4"}], "negative": [NEGATIVE],
                    "cfg": 4.0, "cfg_middle": 2.0},
    "cfg_pp": {"positive": [WHOLE], "negative": [NEGATIVE], "cfg": 1.6, "sampler": "euler_ancestral_cfg_pp"},
    "cfg_pp_at_1": {"positive": [WHOLE], "negative": [NEGATIVE], "cfg": 1.0, "sampler": "dpmpp_2m_cfg_pp"},
    "cfg_pp_basic": {"kind": "basic", "positive": [WHOLE], "sampler": "euler_cfg_pp"},
    "sdxl": {"model": "sdxl", "positive": [{"context": "c6", "pooled": "p"}],
             "negative": [{"context": "n6", "pooled": "q"}], "cfg": 5.0},
    "sdxl_sizes": {"model": "sdxl", "batch": 2,
                   "positive": [{"context": "c6", "pooled": "p", "size": [1216, 832, 16, 8, 1024, 768]}],
                   "negative": [{"context": "n6", "pooled": "q"}], "cfg": 5.0},
    "refiner": {"model": "refiner", "positive": [{"context": "c6", "pooled": "p"}],
                "negative": [{"context": "n6", "pooled": "q"}], "cfg": 5.0},
    "refiner_scores": {"model": "refiner", "positive": [{"context": "c6", "pooled": "p", "score": 7.25}],
                       "negative": [{"context": "n6", "pooled": "q", "score": 1.5}], "cfg": 5.0},
    "inpaint": {"model": "inpaint", "batch": 2, "latent": True, "noise_mask": "small",
                "positive": [{"context": "c6", "concat_latent": "picture", "concat_mask": "small"}],
                "negative": [{"context": "n6", "concat_latent": "picture", "concat_mask": "small"}], "cfg": 3.0},
    "inpaint_resized": {"model": "inpaint", "latent": True,
                        "positive": [{"context": "c6", "concat_latent": "wide_picture", "concat_mask": "two"}],
                        "negative": [{"context": "n6", "concat_latent": "wide_picture", "concat_mask": "two"}],
                        "cfg": 3.0},
    "inpaint_by_noise_mask": {"model": "inpaint", "latent": True, "noise_mask": "corner",
                              "positive": [WHOLE, {"context": "b4", "area": [8, 8, 3, 2]}], "negative": [NEGATIVE],
                              "cfg": 3.0},
    "inpaint_of_nothing": {"model": "inpaint", "positive": [WHOLE], "negative": [NEGATIVE], "cfg": 3.0},
    "inpaint_playground": {"model": "inpaint", "prediction": "playground", "latent": True, "noise_mask": "small",
                           "positive": [{"context": "c6", "concat_latent": "picture", "concat_mask": "small"}],
                           "negative": [NEGATIVE], "cfg": 3.0},
    "playground": {"batch": 2, "prediction": "playground", "latent": True, "positive": [WHOLE], "negative": [NEGATIVE],
                   "cfg": 3.0, "sampler": "dpmpp_2m", "denoise": 0.6},
    "playground_of_nothing": {"prediction": "playground", "positive": [WHOLE], "negative": [NEGATIVE], "cfg": 3.0},
    "dual_model": {"kind": "dual_model", "negative_prediction": "v", "batch": 2, "positive": [WHOLE],
                   "negative": [NEGATIVE], "cfg": 4.0},
    "dual_model_at_1": {"kind": "dual_model", "negative_prediction": "v", "positive": [WHOLE], "negative": [NEGATIVE],
                        "cfg": 1.0, "rescale": 0.7},
    "dual_model_rescaled": {"kind": "dual_model", "negative_prediction": "v", "positive": [WHOLE],
                            "negative": [NEGATIVE], "cfg": 4.0, "rescale": 0.7, "sampler": "dpmpp_2m"},
    "dual_model_cfg_pp": {"kind": "dual_model", "negative_prediction": "v", "positive": [WHOLE],
                          "negative": [NEGATIVE], "cfg": 1.6, "sampler": "euler_cfg_pp"},
    "dual_model_areas": {"kind": "dual_model", "negative_prediction": "eps", "latent": True, "noise_mask": "two",
                         "positive": [WHOLE, {"context": "b4", "area": [9, 6, 4, 3], "strength": 0.8}],
                         "negative": [NEGATIVE, {"context": "t3", "area": [12, 12, 4, 0]}], "cfg": 3.0},
    "dual_model_latents": {"kind": "dual_model", "model": "inpaint", "negative_prediction": "playground",
                           "latent": True, "noise_mask": "small",
                           "positive": [{"context": "c6", "concat_latent": "picture", "concat_mask": "small"}],
                           "negative": [NEGATIVE], "cfg": 3.0},
    "perp_neg": {"kind": "perp_neg", "positive": [WHOLE], "middle": [{"context": "b4"}], "negative": [NEGATIVE],
                 "cfg": 4.0, "negative_scale": 1.5},
    "perp_neg_batch": {"kind": "perp_neg", "batch": 2, "positive": [WHOLE], "middle": [{"context": "t3"}],
                       "negative": [NEGATIVE], "cfg": 1.0, "negative_scale": 0.5, "sampler": "dpmpp_2m"},
    "perp_neg_off": {"kind": "perp_neg", "positive": [WHOLE], "middle": [{"context": "b4"}], "negative": [NEGATIVE],
                     "cfg": 3.0, "negative_scale": 0.0},
    "differential": {"batch": 2, "latent": True, "noise_mask": "two", "differential": 1.0, "positive": [WHOLE],
                     "negative": [NEGATIVE], "cfg": 3.0, "steps": 8},
    "differential_half": {"latent": True, "noise_mask": "small", "differential": 0.5, "positive": [WHOLE],
                          "negative": [NEGATIVE], "cfg": 3.0, "steps": 8, "denoise": 0.7},
    "differential_cut": {"latent": True, "noise_mask": "small", "differential": 1.0, "positive": [WHOLE],
                         "negative": [NEGATIVE], "cfg": 3.0, "steps": 8, "end_step": 5},
}


def guidance_inputs():
    g = torch.Generator().manual_seed(2024)

    def text(tokens):
        return torch.randn(1, tokens, 5, generator=g) * 0.7
    inputs = {"c6": text(6), "n6": text(6), "b4": text(4), "t12": text(12), "t3": text(3), "s17": text(17),
              "p": torch.randn(1, 8, generator=g) * 20, "q": torch.randn(1, 8, generator=g) * 20,
              "picture": torch.randn(2, 4, 16, 12, generator=g), "wide_picture": torch.randn(1, 4, 10, 30, generator=g),
              "latent": torch.randn(2, 4, 16, 12, generator=g)}
    inputs["small"] = torch.rand(1, 8, 6, generator=g)
    inputs["two"] = torch.rand(2, 40, 20, generator=g)
    corner = torch.zeros(1, 16, 12)
    corner[:, 9:, 7:10] = torch.rand(1, 7, 3, generator=g)
    inputs["corner"], inputs["empty"] = corner, torch.zeros(1, 16, 12)
    return inputs


def condition(spec, inputs):
    values = {}
    if "pooled" in spec:
        values["pooled_output"] = inputs[spec["pooled"]]
    if "area" in spec:
        values["area"] = tuple(spec["area"])
    if "fraction" in spec:
        values["area"] = ("percentage", *spec["fraction"])
    for key, name in (("strength", "strength"), ("mask_strength", "mask_strength"), ("bounds", "set_area_to_bounds"),
                      ("start", "start_percent"), ("end", "end_percent"), ("score", "aesthetic_score")):
        if key in spec:
            values[name] = spec[key]
    if "size" in spec:
        values.update(zip(("width", "height", "crop_w", "crop_h", "target_width", "target_height"), spec["size"]))
    for key, name in (("mask", "mask"), ("concat_mask", "concat_mask"), ("concat_latent", "concat_latent_image")):
        if key in spec:
            values[name] = inputs[spec[key]]
    return [inputs[spec["context"]], values]


def two_models(patcher, other):
    """A guider whose negative another model sees, put together from ComfyUI's parts as DualModelGuider of its newer
    versions behaves."""
    import comfy.samplers as cs

    class TwoModels(cs.CFGGuider):
        def get_ready(self, noise, latent, mask, seed):
            if latent.any():
                latent = other.process_latent_in(latent)
            conds = {"negative": [dict(c) for c in self.original_conds["negative"]]}
            self.against = cs.process_conds(other, noise, conds, torch.device("cpu"), latent, mask, seed)["negative"]

        def predict_noise(self, x, timestep, model_options={}, seed=None):
            def seen(model, conds):
                return cs.calc_cond_batch(model, [conds], x, timestep, model_options)[0]
            prompt = seen(self.inner_model, self.conds["positive"])
            if self.cfg == 1:
                return prompt
            return cs.cfg_function(self.inner_model, prompt, seen(other, self.against), self.cfg, x, timestep,
                                   model_options=model_options, cond=self.conds["positive"], uncond=self.against)
    return TwoModels(patcher)


def run_scenario(spec, inputs):
    import types
    import comfy.sampler_helpers
    import comfy.samplers as cs
    import comfy_extras.nodes_custom_sampler as nodes
    from comfy.sample import prepare_noise
    from comfy_extras.nodes_model_advanced import RescaleCFG
    model = unet_model(spec.get("model", "sd1"), spec.get("prediction", "eps"))
    options = {"transformer_options": {}}
    if "rescale" in spec:
        taken = []
        clone = types.SimpleNamespace(set_model_sampler_cfg_function=taken.append)
        RescaleCFG().patch(types.SimpleNamespace(clone=lambda: clone), spec["rescale"])
        options["sampler_cfg_function"] = taken[0]
    if "differential" in spec:
        from comfy_extras.nodes_differential_diffusion import DifferentialDiffusion
        options["denoise_mask_function"] = lambda *given, **named: DifferentialDiffusion.forward(
            *given, **named, strength=spec["differential"])
    patcher = types.SimpleNamespace(model_options=options, model=model,
                                    get_model_object=lambda name: getattr(model, name))
    lists = {k: [condition(c, inputs) for c in spec[k]] for k in ("positive", "middle", "negative") if k in spec}
    kind = spec.get("kind", "cfg")
    if kind == "basic":
        guider = nodes.Guider_Basic(patcher)
        guider.set_conds(lists["positive"])
    elif kind == "cfg":
        guider = cs.CFGGuider(patcher)
        guider.set_conds(lists["positive"], lists["negative"])
        guider.set_cfg(spec["cfg"])
    elif kind == "dual_model":
        guider = two_models(patcher, unet_model(spec.get("model", "sd1"), spec["negative_prediction"]))
        guider.set_conds(lists["positive"], lists["negative"])
        guider.set_cfg(spec["cfg"])
    elif kind == "perp_neg":
        from comfy_extras.nodes_perpneg import Guider_PerpNeg
        guider = Guider_PerpNeg(patcher)
        guider.set_conds(lists["positive"], lists["negative"], lists["middle"])
        guider.set_cfg(spec["cfg"], spec["negative_scale"])
    else:
        guider = nodes.Guider_DualCFG(patcher)
        guider.set_conds(lists["positive"], lists["middle"], lists["negative"])
        guider.set_cfg(spec["cfg"], spec["cfg_middle"], nested=kind == "dual_nested")
    guider.inner_model = model
    guider.conds = {k: [dict(c) for c in guider.original_conds[k]] for k in guider.original_conds}
    name, steps = spec.get("sampler", "euler"), spec.get("steps", 5)
    sigmas = cs.KSampler(patcher, steps, "cpu", sampler=name, scheduler="karras",
                         denoise=spec.get("denoise", 1.0)).sigmas
    if "end_step" in spec:
        sigmas = sigmas[:spec["end_step"] + 1]
    batch = spec.get("batch", 1)
    latent = inputs["latent"][:batch] if spec.get("latent") else torch.zeros(batch, 4, 16, 12)
    mask = None
    if "noise_mask" in spec:
        mask = comfy.sampler_helpers.prepare_mask(inputs[spec["noise_mask"]], latent.shape, "cpu")
    seed = 4711
    seen = []
    noise = prepare_noise(latent, seed)
    if kind == "dual_model":
        guider.get_ready(noise, latent, mask, seed)
    out = guider.inner_sample(noise, latent, torch.device("cpu"), cs.sampler_object(name), sigmas,
                              mask, lambda i, denoised, x, total: seen.append(denoised), True, seed)
    return out, seen[-1]


def guidance():
    import json
    inputs = guidance_inputs()
    out = {f"in.{key}": value for key, value in inputs.items()}
    for name, spec in SCENARIOS.items():
        result, denoised = run_scenario(spec, inputs)
        out[f"out.{name}"] = torch.stack([result, denoised])
    save_file({key: value.contiguous() for key, value in out.items()}, OUT / "guidance.safetensors",
              metadata={"scenarios": json.dumps(SCENARIOS)})


def main():
    source, parts = sys.argv[1], sys.argv[2:]
    sys.path.insert(0, source)
    sys.argv = ["make_sampling", "--cpu"]
    import comfy.options
    comfy.options.enable_args_parsing(False)
    from comfy.cli_args import args
    args.cpu = True
    import comfy.samplers  # first: its modules import each other
    torch.set_num_threads(1)
    makers = {"noise": noise, "schedules": schedules, "samplers": samplers, "guidance": guidance}
    with torch.no_grad():
        for part in parts or makers:
            makers[part]()


if __name__ == "__main__":
    main()
