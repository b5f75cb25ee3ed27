"""Writes schedules.safetensors: the sigmas of every model sampling, every scheduler's steps on them, and what the sigma
nodes give.

    python make_schedules.py COMFYUI     (comfyui.py says what it needs)
"""
from comfyui import Model, ksampler_sigmas, model_samplings, write  # first: it opens ComfyUI
import comfy.samplers as cs
import comfy_extras.nodes_custom_sampler as nodes
import torch
from comfy_extras.nodes_align_your_steps import AlignYourStepsScheduler

STEPS = (1, 2, 5, 20, 31)
PERCENTS = (0.0, 0.1, 0.2, 0.5, 0.8, 0.999, 1.0)
X = torch.tensor([-1.5, 0.0, 0.25, 3.0]).view(4, 1, 1, 1)
OUTPUT = torch.tensor([0.5, -1.0, 2.0, -0.125]).view(4, 1, 1, 1)


def sigma_table(name, model):
    """Sigmas, and the ways between them, timesteps and percents."""
    out = {}
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
    return out


def scalings(name, model):
    """What goes into the model, what comes out, and noise laid on."""
    out = {}
    sigma = model.sigmas[len(model.sigmas) // 2].expand(4)
    out[f"{name}.input"] = model.calculate_input(sigma, X).flatten()
    out[f"{name}.denoised"] = model.calculate_denoised(sigma, OUTPUT, X).flatten()
    out[f"{name}.noised"] = torch.cat([model.noise_scaling(sigma, OUTPUT.clone(), X, max_denoise=m).flatten()
                                       for m in (False, True)])
    out[f"{name}.unscaled"] = model.inverse_noise_scaling(sigma, X).flatten()
    return out


def schedulers(name, model):
    out = {}
    for scheduler in cs.SCHEDULER_NAMES:
        for steps in STEPS:
            if scheduler == "kl_optimal" and steps == 1:
                continue  # not a number there
            out[f"{name}.{scheduler}.{steps}"] = cs.calculate_sigmas(model, scheduler, steps)
    return out


def ksampler(eps):
    out = {}
    for sampler in ("euler", "uni_pc"):
        for scheduler in cs.SCHEDULER_NAMES:
            for denoise in (1.0, 0.75, 0.5, 0.03):
                out[f"ksampler.{sampler}.{scheduler}.{denoise}"] = ksampler_sigmas(eps, 6, sampler, scheduler, denoise)
    return out


def scheduler_nodes(eps):
    out = {}
    for denoise in (1.0, 0.5, 0.03):
        out[f"basic.{denoise}"] = nodes.BasicScheduler.execute(Model(eps), "karras", 6, denoise)[0]
        out[f"turbo.{denoise}"] = nodes.SDTurboScheduler.execute(Model(eps), 4, denoise)[0]
    for family, steps, denoise in (("SDXL", 10, 1.0), ("SDXL", 23, 1.0), ("SD1", 4, 1.0), ("SVD", 25, 0.5)):
        out[f"aligned.{family}.{steps}"] = AlignYourStepsScheduler.execute(family, steps, denoise)[0]
    n = 7
    out["karras"] = nodes.KarrasScheduler.execute(n, 14.614642, 0.0291675, 5.0)[0]
    out["exponential"] = nodes.ExponentialScheduler.execute(n, 14.614642, 0.0291675)[0]
    out["polyexponential"] = nodes.PolyexponentialScheduler.execute(n, 14.614642, 0.0291675, 1.7)[0]
    out["laplace"] = nodes.LaplaceScheduler.execute(n, 14.614642, 0.0291675, 0.3, 0.7)[0]
    out["vp"] = nodes.VPScheduler.execute(n, 19.9, 0.1, 0.001)[0]
    for a, b in ((0.6, 0.6), (1.0, 1.0), (0.3, 2.5), (5.0, 0.9)):
        out[f"beta.{a}.{b}"] = nodes.BetaSamplingScheduler.execute(Model(eps), 16, a, b)[0]
    out["manual"] = nodes.ManualSigmas.execute("14.6, 7 and -.5;+1.25 3.")[0]
    return out


def sigma_nodes(base):
    """Nodes that change the sigmas they are given."""
    out = {}
    for step in (0, 3, 50):
        out[f"split.{step}.high"], out[f"split.{step}.low"] = nodes.SplitSigmas.execute(base, step).result
    for denoise in (0.0, 0.5, 1.0):
        high, low = nodes.SplitSigmasDenoise.execute(base, denoise).result
        out[f"split_denoise.{denoise}.high"], out[f"split_denoise.{denoise}.low"] = high, low
    out["flip"] = nodes.FlipSigmas.execute(base)[0]
    out["first"] = nodes.SetFirstSigma.execute(base, 20.0)[0]
    for spacing in ("linear", "cosine", "sine"):
        out[f"extend.{spacing}"] = nodes.ExtendIntermediateSigmas.execute(base, 3, 12.0, 1.0, spacing)[0]
    return out


def functions():
    """torch's own, which the schedules are made of: a last bit of theirs shows in a sigma."""
    out = {}
    out["exp.x"], out["tan.x"] = torch.linspace(-14, 9, 512), torch.linspace(0, 1.56, 512)
    out["pow.x"] = torch.linspace(0.3, 2, 70)  # two vectors' worth twice, and a rest
    out["exp.y"], out["tan.y"], out["pow.y"] = out["exp.x"].exp(), out["tan.x"].tan(), out["pow.x"] ** 7.0
    return out


def main():
    models = model_samplings()
    out = {}
    for name, model in models.items():
        out |= sigma_table(name, model) | scalings(name, model) | schedulers(name, model)
    out |= ksampler(models["eps"]) | scheduler_nodes(models["eps"])
    write("schedules", out | sigma_nodes(out["karras"]) | functions())


if __name__ == "__main__":
    main()
