"""Writes guidance.safetensors: what ComfyUI's guiders make of the scenarios of guidance_scenarios.py, which go into the
file's metadata. Where the UNet would be stands a formula, which guidance_test.cpp has too.

    python make_guidance.py COMFYUI     (comfyui.py says what it needs)
"""
import json
import types

from comfyui import ksampler_sigmas, mixed, write  # first: it opens ComfyUI
import comfy.latent_formats
import comfy.model_base as mb
import comfy.model_sampling as ms
import comfy.sampler_helpers
import comfy.samplers as cs
import comfy_extras.nodes_custom_sampler as nodes
import torch
from comfy.sample import prepare_noise
from comfy_extras.nodes_differential_diffusion import DifferentialDiffusion
from comfy_extras.nodes_model_advanced import RescaleCFG
from comfy_extras.nodes_perpneg import Guider_PerpNeg
from guidance_scenarios import SCENARIOS

SEED = 4711


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
        model.model_sampling = mixed(ms.ModelSamplingContinuousEDM, ms.EDM, 0.002, 80.0, 0.5)
    model.diffusion_model = AnalyticUnet()
    model.current_patcher = types.SimpleNamespace(prepare_state=lambda t: None, apply_hooks=lambda hooks: {})
    return model


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


def options_of(spec):
    options = {"transformer_options": {}}
    if "rescale" in spec:
        taken = []
        clone = types.SimpleNamespace(set_model_sampler_cfg_function=taken.append)
        RescaleCFG().patch(types.SimpleNamespace(clone=lambda: clone), spec["rescale"])
        options["sampler_cfg_function"] = taken[0]
    if "differential" in spec:
        options["denoise_mask_function"] = lambda *given, **named: DifferentialDiffusion.forward(
            *given, **named, strength=spec["differential"])
    return options


def guider_of(spec, model, inputs):
    patcher = types.SimpleNamespace(model_options=options_of(spec), model=model,
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
        guider = Guider_PerpNeg(patcher)
        guider.set_conds(lists["positive"], lists["negative"], lists["middle"])
        guider.set_cfg(spec["cfg"], spec["negative_scale"])
    else:
        guider = nodes.Guider_DualCFG(patcher)
        guider.set_conds(lists["positive"], lists["middle"], lists["negative"])
        guider.set_cfg(spec["cfg"], spec["cfg_middle"], nested=kind == "dual_nested")
    guider.inner_model = model
    guider.conds = {k: [dict(c) for c in guider.original_conds[k]] for k in guider.original_conds}
    return guider


def run_scenario(spec, inputs):
    model = unet_model(spec.get("model", "sd1"), spec.get("prediction", "eps"))
    guider = guider_of(spec, model, inputs)
    name = spec.get("sampler", "euler")
    sigmas = ksampler_sigmas(model.model_sampling, spec.get("steps", 5), name, "karras", spec.get("denoise", 1.0))
    if "end_step" in spec:
        sigmas = sigmas[:spec["end_step"] + 1]
    batch = spec.get("batch", 1)
    latent = inputs["latent"][:batch] if spec.get("latent") else torch.zeros(batch, 4, 16, 12)
    mask = None
    if "noise_mask" in spec:
        mask = comfy.sampler_helpers.prepare_mask(inputs[spec["noise_mask"]], latent.shape, "cpu")
    noise = prepare_noise(latent, SEED)
    if spec.get("kind") == "dual_model":
        guider.get_ready(noise, latent, mask, SEED)
    seen = []
    out = guider.inner_sample(noise, latent, torch.device("cpu"), cs.sampler_object(name), sigmas,
                              mask, lambda i, denoised, x, total: seen.append(denoised), True, SEED)
    return torch.stack([out, seen[-1]])


def main():
    inputs = guidance_inputs()
    out = {f"in.{key}": value for key, value in inputs.items()}
    for name, spec in SCENARIOS.items():
        out[f"out.{name}"] = run_scenario(spec, inputs)
    write("guidance", out, metadata={"scenarios": json.dumps(SCENARIOS)})


if __name__ == "__main__":
    main()
