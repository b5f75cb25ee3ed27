#!/usr/bin/env python3
"""Makes the goldens of src/models/{diffusion,encoder,vae}: tiny picture models and what diffusers and transformers
compute from them.

    python3 make_picture_models.py [DIRECTORY]      # default: picture_models beside this file
    python3 make_picture_models.py --files FOLDER   # also the checkpoints themselves, for use with other programs

Needs torch (any CPU build), diffusers, transformers and safetensors. For each checkpoint it writes
    NAME.json                 configurations, every tensor's shape and how its values are made, and where each tensor
                              lies in a single file of the original layout
    NAME.golden.safetensors   inputs, outputs and samples of what every block gives, in float32
and for the full-size models of the families
    NAME.shapes.txt           names and shapes of a single file's tensors; {0-11} and {q,k,v} stand for each of those
Weights are not stored: element i of a tensor is an 8-bit integer drawn from a hash of the tensor's name and i, times a
power of two (plus one for norms). float32, float16 and bfloat16 all hold such values exactly, so one golden serves all.
src/models/testing/tiny_picture.cpp makes the same values.
"""

import json
import re
import sys
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from safetensors.torch import save_file

SEED = 20250211
SAMPLES = 128  # values kept of an intermediate
CLIP_L, CLIP_G = "text_encoder", "text_encoder_2"

TEXT_L = dict(vocab_size=100, hidden_size=128, intermediate_size=192, num_hidden_layers=3, num_attention_heads=2,
              max_position_embeddings=13, hidden_act="quick_gelu", eos_token_id=99, bos_token_id=98, pad_token_id=99,
              projection_dim=128)
TEXT_G = dict(TEXT_L, hidden_size=192, intermediate_size=256, num_hidden_layers=3, num_attention_heads=3,
              hidden_act="gelu", pad_token_id=0, projection_dim=160)
VAE = dict(in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(32, 32, 64), layers_per_block=1,
           down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3, norm_num_groups=32,
           sample_size=32, scaling_factor=0.18215)
VAE_XL = dict(VAE, scaling_factor=0.13025)
VAE_SD1 = dict(VAE, layers_per_block=2, block_out_channels=(32, 64), down_block_types=("DownEncoderBlock2D",) * 2,
               up_block_types=("UpDecoderBlock2D",) * 2)
DOWN, CROSS_DOWN, UP, CROSS_UP = "DownBlock2D", "CrossAttnDownBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"
UNET = dict(sample_size=16, in_channels=4, out_channels=4, norm_num_groups=32)
UNET_SDXL = dict(UNET, block_out_channels=(32, 64, 128), layers_per_block=1,
                 down_block_types=(DOWN, CROSS_DOWN, CROSS_DOWN), up_block_types=(CROSS_UP, CROSS_UP, UP),
                 transformer_layers_per_block=(1, 1, 2), attention_head_dim=(1, 1, 2), cross_attention_dim=128 + 192,
                 use_linear_projection=True,
                 addition_embed_type="text_time", addition_time_embed_dim=8,
                 projection_class_embeddings_input_dim=160 + 6 * 8)
UNET_REFINER = dict(UNET, block_out_channels=(32, 64, 64, 128), layers_per_block=1,
                    down_block_types=(DOWN, CROSS_DOWN, CROSS_DOWN, DOWN), up_block_types=(UP, CROSS_UP, CROSS_UP, UP),
                    mid_block_type="UNetMidBlock2DCrossAttn", transformer_layers_per_block=2,
                    attention_head_dim=(1, 1, 1, 2), cross_attention_dim=192, use_linear_projection=True,
                    addition_embed_type="text_time", addition_time_embed_dim=8,
                    projection_class_embeddings_input_dim=160 + 5 * 8)
UNET_SD1 = dict(UNET, block_out_channels=(32, 64, 64, 64), layers_per_block=1,
                down_block_types=(CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, DOWN),
                up_block_types=(UP, CROSS_UP, CROSS_UP, CROSS_UP), attention_head_dim=8, cross_attention_dim=128)
MODELS = {
    "sdxl": {"unet": UNET_SDXL, CLIP_L: TEXT_L, CLIP_G: TEXT_G, "vae": VAE_XL},
    "sdxl_refiner": {"unet": UNET_REFINER, CLIP_G: TEXT_G},
    "sd1": {"unet": UNET_SD1, CLIP_L: TEXT_L, "vae": VAE_SD1},
    "sd1_inpaint": {"unet": dict(UNET_SD1, in_channels=9)},
    # VAEs of later models: many latent channels, no convolutions between moments and latent.
    "vae16": {"vae": dict(VAE, latent_channels=16, use_quant_conv=False, use_post_quant_conv=False)},
    "taesd": {"taesd": dict(latent_channels=4, num_encoder_blocks=(1, 2, 2), num_decoder_blocks=(2, 2, 1),
                            encoder_block_out_channels=(64,) * 3, decoder_block_out_channels=(64,) * 3)},
}

# The published configurations of the full-size models, of which only shapes are kept.
FULL_L = dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
              projection_dim=768)
FULL_G = dict(vocab_size=49408, hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20,
              hidden_act="gelu", projection_dim=1280)
FULL_VAE = dict(VAE, block_out_channels=(128, 256, 512, 512), layers_per_block=2,
                down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
FULL_XL = dict(UNET_SDXL, block_out_channels=(320, 640, 1280), layers_per_block=2,
               transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20), cross_attention_dim=2048,
               addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816)
FULL_REFINER = dict(UNET_REFINER, block_out_channels=(384, 768, 1536, 1536), layers_per_block=2,
                    transformer_layers_per_block=4, attention_head_dim=(6, 12, 24, 24), cross_attention_dim=1280,
                    addition_time_embed_dim=256, projection_class_embeddings_input_dim=2560)
FULL_SD1 = dict(UNET_SD1, block_out_channels=(320, 640, 1280, 1280), layers_per_block=2, cross_attention_dim=768)
FULL = {
    "sdxl": {"unet": FULL_XL, CLIP_L: FULL_L, CLIP_G: FULL_G, "vae": FULL_VAE},
    "sdxl_refiner": {"unet": FULL_REFINER, CLIP_G: FULL_G},
    "sd1": {"unet": FULL_SD1, CLIP_L: FULL_L},
}


# ---- weights -------------------------------------------------------------------------------------------------------

def codes(name: str, n: int) -> np.ndarray:
    """n integers in -128..127: SplitMix64 of the name's FNV-1a hash."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(56)).astype(np.int64) - 128


def recipe(name: str, shape: list[int]) -> tuple[int, int]:
    """Exponent and base of a tensor: activations stay around one through the network."""
    if len(shape) == 1:
        return (-7, 1) if name.endswith("weight") else (-10, 0)
    if "embedding.weight" in name:
        return -8, 0
    return round(-0.5 * np.log2(np.prod(shape[1:])) - np.log2(74)), 0


def values(name: str, shape: list[int], exponent: int, base: int) -> torch.Tensor:
    drawn = codes(name, int(np.prod(shape)))
    drawn = drawn >> 2 if base else drawn
    return torch.from_numpy((base + drawn * 2.0**exponent).astype(np.float32)).reshape(shape)


def fill(component: str, model: torch.nn.Module) -> list:
    """Fills a module; [name, shape, exponent, base] of every tensor, as the file will name it."""
    made = []
    for name, parameter in model.named_parameters():
        in_file = file_name(component, name)
        shape = list(parameter.shape)
        exponent, base = recipe(name, shape)
        with torch.no_grad():
            parameter.copy_(values(f"{component}/{in_file}", shape, exponent, base))
        made.append([in_file, shape, exponent, base])
    return made


# ---- names of a single file ----------------------------------------------------------------------------------------

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
          "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
TOP = {"conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0",
       "time_embedding.linear_2": "time_embed.2",
       "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2", "conv_norm_out": "out.0",
       "conv_out": "out.2"}


def unet_prefixes(config: dict) -> dict[str, str]:
    """Prefix of every block of the UNet, diffusers' to the original's."""
    layers, levels = config["layers_per_block"], len(config["block_out_channels"])
    out, n = dict(TOP), 1
    for level in range(levels):
        for i in range(layers):
            out[f"down_blocks.{level}.resnets.{i}"] = f"input_blocks.{n}.0"
            out[f"down_blocks.{level}.attentions.{i}"] = f"input_blocks.{n}.1"
            n += 1
        out[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{n}.0.op"
        n += 1
    out |= {"mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1",
            "mid_block.resnets.1": "middle_block.2"}
    n = 0
    for level in range(levels):
        has_attention = config["up_block_types"][level] == CROSS_UP
        for i in range(layers + 1):
            out[f"up_blocks.{level}.resnets.{i}"] = f"output_blocks.{n}.0"
            out[f"up_blocks.{level}.attentions.{i}"] = f"output_blocks.{n}.1"
            n += 1
        out[f"up_blocks.{level}.upsamplers.0.conv"] = f"output_blocks.{n - 1}.{2 if has_attention else 1}.conv"
    return out


def unet_single(config: dict, name: str) -> str:
    known = (pair for pair in unet_prefixes(config).items() if name.startswith(pair[0] + "."))
    prefix, to = max(known, key=lambda pair: len(pair[0]))
    rest = name[len(prefix) + 1:]
    if ".resnets." in prefix:
        field, suffix = rest.split(".")
        rest = f"{RESNET[field]}.{suffix}"
    return f"model.diffusion_model.{to}.{rest}"


def vae_single(config: dict, name: str) -> str:
    parts = name.split(".")
    levels = len(config["block_out_channels"])
    attention = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"}
    out = parts[:1]
    if len(parts) > 2 and parts[1] in ("down_blocks", "up_blocks"):
        is_up = parts[1] == "up_blocks"
        level = levels - 1 - int(parts[2]) if is_up else int(parts[2])
        out += ["up" if is_up else "down", str(level)]
        if parts[3] == "resnets":
            out += ["block", parts[4], *parts[5:]]
        else:
            out += ["upsample" if is_up else "downsample", *parts[5:]]
    elif len(parts) > 2 and parts[1] == "mid_block":
        if parts[2] == "resnets":
            out += ["mid", f"block_{int(parts[3]) + 1}", *parts[4:]]
        else:
            field = attention[parts[4]]
            out += ["mid", "attn_1", field, parts[-1]]
    else:
        out = parts
    text = ".".join(out)
    return "first_stage_model." + text.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")


OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
             "self_attn.out_proj": "attn.out_proj"}


def open_clip_single(prefix: str, component: str, layers: int) -> list:
    """[name, parts joined on the first axis, whether the matrix is transposed]."""
    top = {"embeddings.token_embedding.weight": "token_embedding.weight",
           "embeddings.position_embedding.weight": "positional_embedding",
           "final_layer_norm.weight": "ln_final.weight", "final_layer_norm.bias": "ln_final.bias"}
    out = [[prefix + to, [f"{component}/text_model.{name}"], False] for name, to in top.items()]
    out.append([prefix + "text_projection", [f"{component}/text_projection.weight"], True])
    for i in range(layers):
        at, to = f"{component}/text_model.encoder.layers.{i}.", f"{prefix}transformer.resblocks.{i}."
        for suffix in ("weight", "bias"):
            out.append([f"{to}attn.in_proj_{suffix}", [f"{at}self_attn.{p}_proj.{suffix}" for p in "qkv"], False])
            out += [[f"{to}{b}.{suffix}", [f"{at}{a}.{suffix}"], False] for a, b in OPEN_CLIP.items()]
    return out


def single_file(name: str, components: dict) -> list:
    out = []
    for component, (config, made) in components.items():
        if component == CLIP_L:
            prefix = "conditioner.embedders.0.transformer." if name == "sdxl" else "cond_stage_model.transformer."
            out += [[prefix + t[0], [f"{component}/{t[0]}"], False] for t in made]
        elif component == CLIP_G:
            prefix = f"conditioner.embedders.{1 if name == 'sdxl' else 0}.model."
            out += open_clip_single(prefix, component, config["num_hidden_layers"])
        elif component == "unet":
            out += [[unet_single(config, t[0]), [f"unet/{t[0]}"], False] for t in made]
        elif component == "vae":
            # The original's attention is made of 1x1 convolutions.
            out += [[vae_single(config, t[0]), [f"vae/{t[0]}"], False] +
                    ([[*t[1], 1, 1]] if "mid_block.attentions" in t[0] and len(t[1]) == 2 else []) for t in made]
        else:  # the tiny autoencoder's decoder has its clamp as layer 0
            for t in made:
                half, _, index, rest = t[0].split(".", 3)
                out.append([f"taesd_{half}.{int(index) + (half == 'decoder')}.{rest}", [f"{component}/{t[0]}"], False])
    return out


# ---- goldens -------------------------------------------------------------------------------------------------------

def random(*shape: int, seed: int, spread: float = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(SEED + seed)) * spread


def last(x: torch.Tensor) -> torch.Tensor:
    """Feature maps as [B,H,W,C]."""
    return (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).detach().contiguous().clone()


class Recorder:
    def __init__(self, into: dict, prefix: str):
        self.into, self.prefix, self.hooks = into, prefix, []

    def watch(self, name: str, module: torch.nn.Module) -> None:
        def keep(_, __, output):
            flat = last(output[0] if isinstance(output, tuple) else getattr(output, "sample", output)).flatten()
            n = flat.numel()
            self.into[f"{self.prefix}.{name}"] = flat[torch.arange(min(n, SAMPLES)) * n // min(n, SAMPLES)].clone()
        self.hooks.append(module.register_forward_hook(keep))

    def close(self) -> None:
        for hook in self.hooks:
            hook.remove()


def run_unet(unet, config: dict, seen: dict) -> None:
    recorder, n = Recorder(seen, "unet"), 1
    recorder.watch("conv_in", unet.conv_in)

    def watch_blocks(name: str, block, n: int, sampler) -> int:
        for i, resnet in enumerate(block.resnets):
            attentions = getattr(block, "attentions", None)
            is_last = i == len(block.resnets) - 1
            module = attentions[i] if attentions else resnet
            if is_last and name == "up" and sampler is not None:
                module = sampler
            recorder.watch(f"{name}.{n}", module)
            n += 1
        if name == "down" and sampler is not None:
            recorder.watch(f"{name}.{n}", sampler)
            n += 1
        return n

    for block in unet.down_blocks:
        n = watch_blocks("down", block, n, block.downsamplers[0] if block.downsamplers else None)
    recorder.watch("mid", unet.mid_block)
    n = 0
    for block in unet.up_blocks:
        n = watch_blocks("up", block, n, block.upsamplers[0] if block.upsamplers else None)
    x = random(2, config["in_channels"], 10, 16, seed=1)  # 10 halves to 5 and 3: odd sizes on the way
    t = torch.tensor([981.0, 37.5])
    context = random(2, 7, config["cross_attention_dim"], seed=2)
    extra = {}
    if "projection_class_embeddings_input_dim" in config:
        time_dim = config["addition_time_embed_dim"]
        n_ids = (config["projection_class_embeddings_input_dim"] - 160) // time_dim
        ids = torch.tensor([[1024.0, 768.0, 0.0, 16.0, 1024.0, 768.0], [512.0, 640.0, 8.0, 0.0, 6.0, 2.5]])[:, :n_ids]
        pooled = random(2, 160, seed=3)
        extra["added_cond_kwargs"] = dict(text_embeds=pooled, time_ids=ids)
        seen["unet.y"] = torch.cat([pooled, unet.add_time_proj(ids.flatten()).reshape(2, -1)], dim=1)
    with torch.no_grad():
        out = unet(x, t, context, **extra).sample
    recorder.close()
    seen |= {"unet.x": last(x), "unet.t": t, "unet.context": context, "unet.out": last(out)}


def run_text(model, config: dict, component: str, seen: dict) -> None:
    recorder = Recorder(seen, component)
    inner = getattr(model, "text_model", model)
    recorder.watch("embeddings", inner.embeddings)
    for i, layer in enumerate(inner.encoder.layers):
        recorder.watch(f"layer.{i}", layer)
    length, eos = config["max_position_embeddings"], config["eos_token_id"]
    ids = torch.from_numpy(np.random.default_rng(SEED).integers(1, 98, (2, length)))
    ids[:, 0] = config["bos_token_id"]
    ids[0, 5:], ids[1, 9:] = eos, eos
    if config["pad_token_id"] == 0:
        ids[0, 6:], ids[1, 10:] = 0, 0
    with torch.no_grad():
        out = model(ids, output_hidden_states=True)
    recorder.close()
    pooled = out.text_embeds if hasattr(out, "text_embeds") else out.pooler_output
    seen |= {f"{component}.ids": ids.to(torch.int32), f"{component}.last": out.last_hidden_state.clone(),
             f"{component}.penultimate": out.hidden_states[-2].clone(), f"{component}.pooled": pooled.clone(),
             f"{component}.penultimate_normed": inner.final_layer_norm(out.hidden_states[-2]).detach().clone()}


def run_vae(vae, config: dict, seen: dict) -> None:
    recorder = Recorder(seen, "vae")
    recorder.watch("encoder.conv_in", vae.encoder.conv_in)
    for i, block in enumerate(vae.encoder.down_blocks):
        recorder.watch(f"encoder.down.{i}", block)
    recorder.watch("encoder.mid", vae.encoder.mid_block)
    recorder.watch("decoder.conv_in", vae.decoder.conv_in)
    recorder.watch("decoder.mid", vae.decoder.mid_block)
    for i, block in enumerate(vae.decoder.up_blocks):
        recorder.watch(f"decoder.up.{i}", block)
    image = torch.tanh(random(2, 3, 16, 24, seed=4))
    shrink = 2 ** (len(config["block_out_channels"]) - 1)
    z = random(2, config["latent_channels"], 16 // shrink, 24 // shrink, seed=5)
    with torch.no_grad():
        moments = vae.encode(image).latent_dist.parameters
        decoded = vae.decode(z).sample
    recorder.close()
    seen |= {"vae.image": last(image), "vae.moments": last(moments), "vae.z": last(z), "vae.decoded": last(decoded)}


def run_tiny(vae, seen: dict) -> None:
    image, z = torch.tanh(random(2, 3, 8, 12, seed=6)), random(2, 4, 3, 2, seed=7, spread=3)
    with torch.no_grad():
        seen |= {"taesd.encoded": last(vae.encoder(image)), "taesd.decoded": last(vae.decoder(z))}
    seen |= {"taesd.image": last(image), "taesd.z": last(z)}


def make_component(name: str, component: str, config: dict):
    if component == "unet":
        return diffusers.UNet2DConditionModel(**config)
    if component == "vae":
        return diffusers.AutoencoderKL(**config)
    if component == "taesd":
        return diffusers.AutoencoderTiny(**config)
    kind = transformers.CLIPTextModel if component == CLIP_L else transformers.CLIPTextModelWithProjection
    made = transformers.CLIPTextConfig(**config)
    made._attn_implementation = "eager"
    return kind(made)


def dump(value, depth: int = 0) -> str:
    """JSON with one short list a line."""
    if isinstance(value, dict) and depth < 3:
        items = (f"{json.dumps(k)}: {dump(v, depth + 1)}" for k, v in value.items())
        return "{\n" + ",\n".join(items) + "\n}"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(json.dumps(v, separators=(",", ":")) for v in value) + "\n]"
    return json.dumps(value)


def write_files(name: str, spec: dict, folder: Path) -> None:
    """The checkpoint as a single file and as a folder in diffusers layout."""
    tensors = {f"{c}/{t[0]}": values(f"{c}/{t[0]}", *t[1:]) for c, part in spec["components"].items()
               for t in part["tensors"]}
    single = {}
    for target, parts, transposed, *shape in spec["single_file"]:
        joined = torch.cat([tensors[p] for p in parts])
        joined = joined.T if transposed else joined
        single[target] = (joined.reshape(shape[0]) if shape else joined).contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(single, folder / f"{name}.safetensors", metadata={"format": "pt"})
    for component, part in spec["components"].items():
        at = folder / name / component
        at.mkdir(parents=True, exist_ok=True)
        file = "model.safetensors" if component.startswith(CLIP_L) else "diffusion_pytorch_model.safetensors"
        save_file({t[0]: tensors[f"{component}/{t[0]}"] for t in part["tensors"]}, at / file)
        (at / "config.json").write_text(json.dumps(part["config"], indent=1))


def file_name(component: str, name: str) -> str:
    """Files have the prefix that newer versions of transformers leave out in memory."""
    return name if not component.startswith(CLIP_L) or name.startswith("text_") else "text_model." + name


def gathered(lines: list[tuple[str, tuple]], pattern: str, braces) -> list[tuple[str, tuple]]:
    """Joins the names that differ in `pattern`'s first group only and have one shape."""
    groups = {}
    for name, shape in lines:
        found = re.search(pattern, name)
        key = (name[:found.start(1)] + "*" + name[found.end(1):] if found else name, shape)
        groups.setdefault(key, []).append(found.group(1) if found else None)
    out = []
    for (name, shape), each in groups.items():
        whole = braces(each) if len(each) > 1 else each[0]
        out.append((name.replace("*", whole) if whole else name, shape))
    return out


def write_shapes(name: str, parts: dict, path: Path) -> None:
    components = {}
    for component, config in parts.items():
        with torch.device("meta"):
            model = make_component(name, component, config)
        made = [[file_name(component, n), list(p.shape)] for n, p in model.named_parameters()]
        components[component] = (config, made)
    shapes = {f"{c}/{n}": shape for c, (_, made) in components.items() for n, shape in made}
    lines = []
    for target, pieces, transposed, *shape in single_file(name, components):
        full = [sum(shapes[p][0] for p in pieces), *shapes[pieces[0]][1:]]
        lines.append((target, tuple(shape[0] if shape else full[::-1] if transposed else full)))
    lines = gathered(lines, r"(?:transformer_blocks|encoder\.layers|resblocks)\.(\d+)",
                     lambda n: f"{{0-{len(n) - 1}}}")
    lines = gathered(lines, r"(?:to_|self_attn\.|attn_1\.)([qkv])\b", lambda n: f"{{{','.join(n)}}}")
    path.write_text("".join(f"{n} {' '.join(map(str, shape))}\n" for n, shape in lines))


def make(name: str, parts: dict, directory: Path) -> dict:
    seen, components = {}, {}
    for component, config in parts.items():
        torch.manual_seed(SEED)
        model = make_component(name, component, config).float().eval()
        components[component] = (config, fill(component, model))
        if component == "unet":
            run_unet(model, config, seen)
        elif component == "vae":
            run_vae(model, config, seen)
        elif component == "taesd":
            run_tiny(model, seen)
        else:
            run_text(model, config, component, seen)
    spread = ", ".join(f"{k} {v.float().std():.2f}" for k, v in seen.items() if "." in k)
    print(f"{name}: {spread}")
    save_file({k: v.contiguous() for k, v in seen.items()}, directory / f"{name}.golden.safetensors")
    spec = {"components": {c: {"config": config, "tensors": made} for c, (config, made) in components.items()},
            "single_file": single_file(name, components)}
    (directory / f"{name}.json").write_text(dump(spec) + "\n")
    return spec


def main() -> None:
    arguments = sys.argv[1:]
    files = Path(arguments[arguments.index("--files") + 1]) if "--files" in arguments else None
    if files:
        del arguments[arguments.index("--files"):][:2]
    directory = Path(arguments[0]) if arguments and not arguments[0].startswith("--") else \
        Path(__file__).parent / "picture_models"
    directory.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name, parts in MODELS.items():
        spec = make(name, parts, directory)
        if files:
            write_files(name, spec, files)
    for name, parts in FULL.items():
        write_shapes(name, parts, directory / f"{name}.shapes.txt")


if __name__ == "__main__":
    main()
