"""A Stable Diffusion 1 checkpoint of a few megabytes, for tests that draw: the layout of tests/golden/picture_models
with the real vocabulary and prompt length. Its pictures mean nothing; they are the same every time."""
import json
import pathlib

import numpy
from safetensors.numpy import save_file

SPEC = pathlib.Path(__file__).resolve().parents[1] / "golden" / "picture_models" / "sd1.json"
FULL = {"embeddings.token_embedding.weight": 49408, "embeddings.position_embedding.weight": 77}  # rows


def make_checkpoint(path):
    spec, random = json.loads(SPEC.read_text()), numpy.random.default_rng(1)
    made = {}
    for component, part in spec["components"].items():
        for name, shape, exponent, offset in part["tensors"]:
            rows = next((rows for end, rows in FULL.items() if name.endswith(end)), shape[0])
            whole = random.integers(-127, 128, [rows, *shape[1:]])
            made[f"{component}/{name}"] = (whole * 2.0**exponent + offset).astype(numpy.float16)
    tensors = {}
    for target, parts, is_transposed, *shape in spec["single_file"]:
        joined = numpy.concatenate([made[part] for part in parts])
        joined = joined.T if is_transposed else joined
        tensors[target] = numpy.ascontiguousarray(joined.reshape(shape[0]) if shape else joined)
    save_file(tensors, path)
