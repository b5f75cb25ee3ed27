#!/usr/bin/env python3
"""Draws with diffusers what `hearth bench picture` drew: same file, tokens, noise levels and noise, float32 on the CPU.

    PYTHON bench/pictures_peer.py MODEL ANSWER.json PICTURE.npy --size 512x512 --batch 1 --threads 2 --repeat 3

ANSWER.json is what hearth printed (token ids and noise levels), PICTURE.npy what it drew. Prints JSON: seconds of every
phase, floating-point operations, and how far the pictures are apart. Runs in a Python that has torch and diffusers;
`bench/pictures_cpu.py` calls it.
"""

import argparse
import json
import math
import os
import statistics
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

HEAD = 64  # channels of an attention head in SDXL and its text encoders


def count(tensors, prefix):
    """How many numbers follow a prefix: 2 for "blocks." where there are blocks.0.* and blocks.1.*."""
    return len({name[len(prefix):].split(".")[0] for name in tensors if name.startswith(prefix)})


def unet_config(tensors):
    prefix = "model.diffusion_model."
    levels = [[]]  # (channels, transformer blocks) of each residual block
    for i in range(1, count(tensors, prefix + "input_blocks.")):
        block = f"{prefix}input_blocks.{i}."
        if block + "0.op.weight" in tensors:
            levels.append([])
        else:
            levels[-1].append((tensors[block + "0.in_layers.2.weight"].shape[0],
                               count(tensors, block + "1.transformer_blocks.")))
    channels, depths = [level[0][0] for level in levels], [level[0][1] for level in levels]
    middle = count(tensors, prefix + "middle_block.1.transformer_blocks.")
    cross = next(t for name, t in tensors.items() if name.startswith(prefix) and "attn2.to_k" in name)
    label = tensors[prefix + "label_emb.0.0.weight"].shape[1]
    pooled = tensors["conditioner.embedders.1.model.text_projection"].shape[1]
    return {
        "in_channels": tensors[prefix + "input_blocks.0.0.weight"].shape[1],
        "out_channels": tensors[prefix + "out.2.weight"].shape[0], "block_out_channels": channels,
        "layers_per_block": len(levels[0]), "attention_head_dim": [max(1, c // HEAD) for c in channels],
        "down_block_types": ["CrossAttnDownBlock2D" if d else "DownBlock2D" for d in depths],
        "up_block_types": ["CrossAttnUpBlock2D" if d else "UpBlock2D" for d in reversed(depths)],
        "transformer_layers_per_block": [d or 1 for d in depths[:-1]] + [middle],
        "cross_attention_dim": cross.shape[1], "use_linear_projection": True, "addition_embed_type": "text_time",
        "addition_time_embed_dim": (label - pooled) // 6, "projection_class_embeddings_input_dim": label}


def vae_config(tensors):
    prefix = "first_stage_model."
    levels = count(tensors, prefix + "encoder.down.")
    channels = [tensors[f"{prefix}encoder.down.{i}.block.0.conv2.weight"].shape[0] for i in range(levels)]
    return {"block_out_channels": channels, "down_block_types": ["DownEncoderBlock2D"] * levels,
            "up_block_types": ["UpDecoderBlock2D"] * levels, "latent_channels": 4,
            "layers_per_block": count(tensors, prefix + "encoder.down.0.block.")}


def text_config(width, hidden, layers, act, **more):
    return CLIPTextConfig(hidden_size=width, intermediate_size=hidden, num_hidden_layers=layers, hidden_act=act,
                          num_attention_heads=max(1, width // HEAD), vocab_size=49408, max_position_embeddings=77,
                          eos_token_id=49407, bos_token_id=49406, **more)


def fill(model, state):
    """Loads tensors by name, with or without the prefix that transformers' versions differ in."""
    wanted = model.state_dict()
    for name in wanted:
        short = name.removeprefix("text_model.")
        source = state.get(name, state.get(short, state.get("text_model." + short)))
        if source is None and name.endswith("position_ids"):
            continue
        if source is None:
            raise SystemExit(f"{type(model).__name__} wants {name}, which the checkpoint does not have")
        wanted[name] = source
    model.load_state_dict(wanted)
    return model.eval()


def clip_l(tensors):
    prefix = "conditioner.embedders.0.transformer."
    own = {name[len(prefix):]: t for name, t in tensors.items() if name.startswith(prefix)}
    first = own["text_model.encoder.layers.0.mlp.fc1.weight"]
    layers = count(own, "text_model.encoder.layers.")
    return fill(CLIPTextModel(text_config(first.shape[1], first.shape[0], layers, "quick_gelu")), own)


def clip_g(tensors):
    """OpenCLIP's names are others: projections of q, k and v in one matrix, and layers called resblocks."""
    prefix = "conditioner.embedders.1.model."
    own = {name[len(prefix):]: t for name, t in tensors.items() if name.startswith(prefix)}
    state = {"embeddings.token_embedding.weight": own["token_embedding.weight"],
             "embeddings.position_embedding.weight": own["positional_embedding"],
             "text_projection.weight": own["text_projection"].T.contiguous()}
    layers = count(own, "transformer.resblocks.")
    for kind in ("weight", "bias"):
        state[f"final_layer_norm.{kind}"] = own[f"ln_final.{kind}"]
        for i in range(layers):
            theirs, ours = f"transformer.resblocks.{i}.", f"encoder.layers.{i}."
            for part, piece in zip("qkv", own[f"{theirs}attn.in_proj_{kind}"].chunk(3)):
                state[f"{ours}self_attn.{part}_proj.{kind}"] = piece
            for old, new in (("attn.out_proj", "self_attn.out_proj"), ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"),
                             ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2")):
                state[f"{ours}{new}.{kind}"] = own[f"{theirs}{old}.{kind}"]
    hidden, width = own["transformer.resblocks.0.mlp.c_fc.weight"].shape
    projection = own["text_projection"].shape[1]
    return fill(CLIPTextModelWithProjection(text_config(width, hidden, layers, "gelu", projection_dim=projection)),
                state)


class Peer:
    def __init__(self, path, is_channels_last):
        tensors = {name: t.float() if t.is_floating_point() else t for name, t in load_file(path).items()}
        self.clips = clip_l(tensors), clip_g(tensors)
        config = unet_config(tensors)
        self.unet = UNet2DConditionModel(**config).eval()
        self.unet.load_state_dict(convert_ldm_unet_checkpoint(dict(tensors), dict(self.unet.config)))
        self.vae = AutoencoderKL(**vae_config(tensors)).eval()
        self.vae.load_state_dict(convert_ldm_vae_checkpoint(dict(tensors), dict(self.vae.config)))
        if is_channels_last:
            self.unet.to(memory_format=torch.channels_last)
            self.vae.to(memory_format=torch.channels_last)
        betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64) ** 2
        alphas = torch.cumprod(1 - betas, 0)
        self.log_levels = ((1 - alphas) / alphas).sqrt().log()

    def encode(self, tokens_l, tokens_g):
        hidden_l = self.clips[0](torch.tensor([tokens_l]), output_hidden_states=True).hidden_states[-2]
        seen_g = self.clips[1](torch.tensor([tokens_g]), output_hidden_states=True)
        return torch.cat([hidden_l, seen_g.hidden_states[-2]], -1), seen_g.text_embeds

    def text(self, answer):
        told = self.encode(answer["tokens_l"], answer["tokens_g"])
        return told, self.encode(answer["tokens_empty_l"], answer["tokens_empty_g"])

    def denoise(self, told, answer, size, batch, cfg, seed):
        context, pooled = (torch.cat([t.repeat_interleave(batch, 0) for t in both]) for both in zip(*told))
        width, height = size
        sizes = torch.tensor([[height, width, 0, 0, height, width]]).float().repeat(2 * batch, 1)
        levels = answer["sigmas"]
        noise = torch.randn((batch, 4, height // 8, width // 8), generator=torch.Generator().manual_seed(seed))
        x = noise * math.sqrt(1 + levels[0] ** 2)
        for level, following in zip(levels, levels[1:]):
            step = (self.log_levels - math.log(level)).abs().argmin()
            seen = torch.cat([x, x]) / math.sqrt(level ** 2 + 1)
            guess = self.unet(seen, step, encoder_hidden_states=context,
                              added_cond_kwargs={"text_embeds": pooled, "time_ids": sizes}).sample
            cond, uncond = guess.chunk(2)
            x = x + (uncond + (cond - uncond) * cfg) * (following - level)
        return x

    def decode(self, x, answer):
        seen = self.vae.decode(x / answer["latent_scale"]).sample
        return (seen / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).contiguous()

    def draw(self, answer, options):
        start = time.perf_counter()
        told = self.text(answer)
        text = time.perf_counter()
        x = self.denoise(told, answer, options.size, options.batch, options.cfg, options.seed)
        denoise = time.perf_counter()
        picture = self.decode(x, answer)
        decode = time.perf_counter()
        return picture, {"text": text - start, "denoise": denoise - text, "decode": decode - denoise,
                         "total": decode - start}

    def count_work(self, answer, options):
        """Floating-point operations of each phase."""
        work = {}

        def counted(name, body):
            with FlopCounterMode(display=False) as counter:
                made = body()
            work[name] = counter.get_total_flops()
            return made

        told = counted("text", lambda: self.text(answer))
        once = dict(answer, sigmas=answer["sigmas"][:2])
        x = counted("denoise", lambda: self.denoise(told, once, options.size, options.batch, options.cfg,
                                                    options.seed))
        work["denoise"] *= len(answer["sigmas"]) - 1
        counted("decode", lambda: self.decode(x, answer))
        return work


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("answer")
    parser.add_argument("picture")
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cfg", type=float, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--count", action="store_true", help="also count the operations")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with open(options.answer, encoding="utf-8") as source:
        answer = json.load(source)
    with torch.inference_mode():
        peer = Peer(options.model, options.channels_last)
        picture, _ = peer.draw(answer, options)
        runs = [peer.draw(answer, options)[1] for _ in range(options.repeat)]
        work = peer.count_work(answer, options) if options.count else {}
    theirs = numpy.load(options.picture)
    apart = numpy.abs(theirs - picture.numpy())
    result = {f"{phase}_s": statistics.median(run[phase] for run in runs) for phase in runs[0]}
    result |= {"torch": torch.__version__, "max_difference": float(apart.max()),
               "psnr_db": float(-10 * numpy.log10(max((apart ** 2).mean(), 1e-20))), "flops": work}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
