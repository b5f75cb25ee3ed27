"""Writes a full-size checkpoint with weights drawn from a seed.

    python random_checkpoint.py sd1|sd1_inpaint|sdxl|sdxl_refiner FILE [--type F16|F32]

Names and shapes are those of tests/golden/picture_models/*.shapes.txt. Every value is an 8-bit integer times a power of
two (plus one for norms), which float16 holds exactly, so programs that compute in float32 see the same weights;
activations stay around one through the network. Needs numpy.
"""
import argparse
import json
import math
import multiprocessing
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


def values_of(name, shape, dtype):
    """What the codes -128..127 of a tensor stand for."""
    codes = np.arange(-128, 128)
    if len(shape) <= 1:
        is_norm = name.endswith("weight")
        return (1 + codes * 2.0**-9 if is_norm else codes * 2.0**-10).astype(dtype)
    if "embedding" in name:
        return (codes * 2.0**-8).astype(dtype)
    return (codes * 2.0 ** round(-0.5 * math.log2(math.prod(shape[1:])) - math.log2(74))).astype(dtype)


def write_tensor(path, at, index, name, shape, dtype):
    """Each tensor has its own stream of random numbers, so that processes can share the work."""
    values, draw, left = values_of(name, shape, dtype), np.random.default_rng([41, index]), math.prod(shape)
    with open(path, "r+b") as file:
        file.seek(at)
        while left:
            count = min(left, 1 << 22)
            file.write(values[draw.integers(0, 256, count, np.uint8)].tobytes())
            left -= count


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
    with open(options.file, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(file.tell() + offset)
    with multiprocessing.Pool() as pool:
        pool.starmap(write_tensor, [(options.file, 8 + len(text) + header[name]["data_offsets"][0], index, name, shape,
                                     dtype) for index, (name, shape) in enumerate(shapes.items())], chunksize=1)
    print(f"{options.file}: {len(shapes)} tensors, {offset / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
