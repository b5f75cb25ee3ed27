"""Writes a full-size checkpoint with weights drawn from a seed.

    python random_checkpoint.py sd1|sd1_inpaint|sdxl|sdxl_refiner FILE [--type F16|F32]

Names and shapes are those of tests/golden/picture_models/*.shapes.txt. Every value is an 8-bit integer times a power of
two (plus one for norms), which float16 holds exactly, so programs that compute in float32 see the same weights;
activations stay around one through the network. Needs numpy.
"""
import argparse
import json
import math
import pathlib
import re
import struct

import numpy as np

SHAPES = pathlib.Path(__file__).resolve().parents[1] / "golden/picture_models"


def expanded(name):
    """{0-11} and {q,k,v} stand for each of those."""
    found = re.search(r"\{([^}]*)\}", name)
    if not found:
        return [name]
    first_last = re.fullmatch(r"(\d+)-(\d+)", found[1])
    each = range(int(first_last[1]), int(first_last[2]) + 1) if first_last else found[1].split(",")
    return [rest for one in each for rest in expanded(name[:found.start()] + str(one) + name[found.end():])]


def read_shapes(family):
    shapes = {}
    for line in (SHAPES / f"{family}.shapes.txt").read_text().splitlines():
        name, *shape = line.split()
        for one in expanded(name):
            shapes[one] = [int(side) for side in shape]
    return shapes


def shapes_of(kind):
    shapes = read_shapes(kind.removesuffix("_inpaint"))
    if kind.startswith("sd1"):  # its VAE has the shapes of SDXL's
        vae = {name: shape for name, shape in read_shapes("sdxl").items() if name.startswith("first_stage_model.")}
        shapes.update(vae)
    if kind == "sd1_inpaint":
        shapes["model.diffusion_model.input_blocks.0.0.weight"][1] = 9
    return shapes


def drawn(draw, name, shape, dtype):
    codes = draw.integers(-128, 128, size=shape, dtype=np.int8).astype(dtype)
    if len(shape) <= 1:
        is_norm = name.endswith("weight")
        return dtype(1) + codes * dtype(2**-9) if is_norm else codes * dtype(2**-10)
    if "embedding" in name:
        return codes * dtype(2**-8)
    return codes * dtype(2.0 ** round(-0.5 * math.log2(math.prod(shape[1:])) - math.log2(74)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["sd1", "sd1_inpaint", "sdxl", "sdxl_refiner"])
    parser.add_argument("file")
    parser.add_argument("--type", default="F16", choices=["F16", "F32"])
    options = parser.parse_args()
    dtype = np.float16 if options.type == "F16" else np.float32
    shapes, header, offset = shapes_of(options.kind), {}, 0
    for name, shape in shapes.items():
        end = offset + math.prod(shape) * np.dtype(dtype).itemsize
        header[name] = {"dtype": options.type, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    draw = np.random.default_rng(41)
    with open(options.file, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes.items():
            file.write(drawn(draw, name, shape, dtype).tobytes())
    print(f"{options.file}: {len(shapes)} tensors, {offset / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
