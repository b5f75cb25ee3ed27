"""The workflows of comfy_workflows/ made ready to run on given checkpoints, the same for Hearth and for ComfyUI.

    python workflow_cases.py FOLDER --sd1 FILE --sdxl FILE [--inpaint FILE] [--refiner FILE] [--size 256x256]

fills FOLDER with what both read: workflows/FAMILY_NAME.json, input/ (pictures and masks drawn from a seed) and
models/ (links to the checkpoints, LoRAs drawn from a seed that fit them). A workflow is a prompt in API format in
which "$name", "$checkpoint", "$width" and so on stand for values. Needs numpy and pillow.
"""
import argparse
import json
import math
import os
import pathlib
import struct

import numpy as np
from PIL import Image, ImageDraw

TEMPLATES = pathlib.Path(__file__).parent / "comfy_workflows"
# Workflows of one family only; the others are run on both.
ONLY = {"inpaint_model": "sd1", "refiner": "sdxl"}


def templates(family):
    names = sorted(path.stem for path in TEMPLATES.glob("*.json"))
    return [name for name in names if ONLY.get(name, family) == family]


# ---- checkpoints ---------------------------------------------------------------------------------------------------


def shapes_of(path):
    """Names and shapes of a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}


def pixels_per_latent(shapes):
    """Eight for full-size VAEs; tiny ones have fewer levels."""
    levels = [name for name in shapes if "first_stage_model.decoder" in name and name.endswith("upsample.conv.weight")]
    return 2 ** len(levels)


def lora_targets(family, shapes):
    """Which tensors the LoRA touches, by the names trainers give them: the original's for SDXL, diffusers' for SD1."""
    level1 = 1 + min(int(name.split(".")[3]) for name in shapes if name.endswith(".0.op.weight"))
    block, middle = f"input_blocks.{level1}", "middle_block.1"
    unet = {f"{block}.1.transformer_blocks.0.attn1.to_q": "down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
            f"{block}.1.transformer_blocks.0.attn2.to_v": "down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_v",
            f"{block}.0.in_layers.2": "down_blocks_1_resnets_0_conv1",
            f"{middle}.proj_in": "mid_block_attentions_0_proj_in",
            f"{middle}.transformer_blocks.0.ff.net.0.proj": "mid_block_attentions_0_transformer_blocks_0_ff_net_0_proj"}
    targets = {"lora_unet_" + (module.replace(".", "_") if family == "sdxl" else diffusers):
               "model.diffusion_model." + module for module, diffusers in unet.items()}
    layers = "text_model_encoder_layers"
    if family == "sd1":
        text = "cond_stage_model.transformer.text_model.encoder.layers"
        targets[f"lora_te_{layers}_0_self_attn_q_proj"] = f"{text}.0.self_attn.q_proj"
        targets[f"lora_te_{layers}_1_mlp_fc1"] = f"{text}.1.mlp.fc1"
    else:
        text = "conditioner.embedders.0.transformer.text_model.encoder.layers"
        text_g = "conditioner.embedders.1.model.transformer.resblocks"
        targets[f"lora_te1_{layers}_1_mlp_fc1"] = f"{text}.1.mlp.fc1"
        targets[f"lora_te2_{layers}_0_mlp_fc2"] = f"{text_g}.0.mlp.c_proj"
        targets[f"lora_te2_{layers}_1_self_attn_out_proj"] = f"{text_g}.1.attn.out_proj"
    return targets


def write_tensors(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.tobytes())


def write_lora(path, family, shapes, rank=4):
    """A LoRA whose products have about the size of the weights they change."""
    draw, tensors = np.random.RandomState(31), {}

    def drawn(*shape):
        return (draw.randint(-128, 128, shape) / 128).astype(np.float32)

    for name, target in lora_targets(family, shapes).items():
        out_dim, in_dim, *kernel = shapes[target + ".weight"]
        size = np.float32(2.0 ** round(-0.5 * math.log2(in_dim * math.prod(kernel))))
        tensors[name + ".lora_down.weight"] = drawn(rank, in_dim, *kernel)
        tensors[name + ".lora_up.weight"] = drawn(out_dim, rank, *[1] * len(kernel)) * size
        tensors[name + ".alpha"] = np.array(rank / 2, np.float32)
    write_tensors(path, tensors)


# ---- pictures ------------------------------------------------------------------------------------------------------


def write_picture(path, width, height):
    """Soft waves with noise on them, so that every pixel and every scale counts."""
    draw = np.random.RandomState(32)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(x * a / width + y * b / height + c) for a, b, c in ((9, 4, 0), (3, 8, 1), (6, 6, 2))]
    pixels = np.stack(waves, -1) + draw.randint(-30, 31, (height, width, 3))
    Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)).save(path)


def write_mask(path, width, height):
    """White where it is new: a block off the centre and a disc, with edges that fall between latent pixels."""
    mask = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(mask)
    draw.rectangle([width * 3 // 16 + 1, height // 4, width * 9 // 16 + 1, height * 5 // 8 + 1], fill=(255, 255, 255))
    draw.ellipse([width // 2, height // 2, width * 7 // 8, height * 7 // 8 + 1], fill=(150, 150, 150))
    mask.save(path)


# ---- workflows -----------------------------------------------------------------------------------------------------


def filled(value, values):
    if isinstance(value, dict):
        return {key: filled(entry, values) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, values) for entry in value]
    return values[value[1:]] if isinstance(value, str) and value.startswith("$") else value


def link(source, to):
    to.parent.mkdir(parents=True, exist_ok=True)
    if to.is_symlink() or to.exists():
        to.unlink()
    try:
        os.link(source, to)
    except OSError:  # on another file system
        to.symlink_to(pathlib.Path(source).resolve())


def prepare(folder, checkpoints, width, height):
    """checkpoints: {"sd1": path, "sdxl": path, "inpaint": path, "refiner": path}, any of them. Gives the workflows."""
    folder = pathlib.Path(folder)
    for part in ("workflows", "input", "models/checkpoints", "models/loras"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for kind, path in checkpoints.items():
        link(path, folder / "models/checkpoints" / f"{kind}.safetensors")
    made = []
    for family in ("sd1", "sdxl"):
        if family not in checkpoints:
            continue
        shapes = shapes_of(checkpoints[family])
        scale = pixels_per_latent(shapes)
        across, down = width // 8 * scale, height // 8 * scale
        write_picture(folder / "input" / f"{family}_picture.png", across, down)
        write_mask(folder / "input" / f"{family}_mask.png", across, down)
        write_lora(folder / "models/loras" / f"{family}_lora.safetensors", family, shapes)
        for name in templates(family):
            values = dict(name=f"{family}_{name}", checkpoint=f"{family}.safetensors", inpaint="inpaint.safetensors",
                          refiner="refiner.safetensors", lora=f"{family}_lora.safetensors",
                          picture=f"{family}_picture.png", mask=f"{family}_mask.png", width=width, height=height,
                          half_width=width // 2)
            template = (TEMPLATES / f"{name}.json").read_text()
            if any(f"${kind}" in template and kind not in checkpoints for kind in ("inpaint", "refiner")):
                continue
            made.append(folder / "workflows" / f"{family}_{name}.json")
            made[-1].write_text(json.dumps(filled(json.loads(template), values), indent=1))
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    for kind in ("sd1", "sdxl", "inpaint", "refiner"):
        parser.add_argument("--" + kind, help="checkpoint, .safetensors")
    parser.add_argument("--size", default="256x256")
    options = vars(parser.parse_args())
    width, height = (int(side) for side in options["size"].split("x"))
    checkpoints = {kind: options[kind] for kind in ("sd1", "sdxl", "inpaint", "refiner") if options[kind]}
    for path in prepare(options["folder"], checkpoints, width, height):
        print(path)


if __name__ == "__main__":
    main()
