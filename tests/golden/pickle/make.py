"""Small checkpoints as torch itself writes them, for src/formats/pickle.

    python tests/golden/pickle/make.py     (torch and numpy installed)

wanted.json: file name -> {tensor name: [element type, shape, hex of the bytes]}, or an error's words.
"""
import argparse
import collections
import datetime
import json
import pathlib
import zipfile

import numpy as np
import torch

HERE = pathlib.Path(__file__).parent
TYPES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16", torch.float64: "f64", torch.int8: "i8",
         torch.int16: "i16", torch.int32: "i32", torch.int64: "i64", torch.uint8: "u8", torch.bool: "bool",
         torch.float8_e4m3fn: "f8_e4m3", torch.float8_e5m2: "f8_e5m2", torch.uint16: "u16"}


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def facts(tensors):
    out = {}
    for name, t in tensors.items():
        t = t.detach().contiguous()
        out[name] = [TYPES[t.dtype], list(t.shape), bytes(t.reshape(-1).view(torch.uint8).tolist()).hex() if t.numel() else ""]
    return out


def main():
    torch.manual_seed(5)
    wanted = {}

    def keep(file, value, tensors, **options):
        torch.save(value, HERE / file, **options)
        wanted[file] = facts(tensors) if isinstance(tensors, dict) else tensors

    every = {str(t).split(".")[1]: (torch.rand(2, 3) * 9).to(t) for t in TYPES}
    keep("every_type.pt", every, every)
    shared = torch.rand(4, 6)
    odd = {"whole": shared, "row": shared[1], "rows": shared[2:], "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3),
           "thin": torch.rand(5, 1).t(), "parameter": torch.nn.Parameter(torch.rand(3))}
    keep("views.pth", odd, odd)
    weights = collections.OrderedDict(sorted(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2)).state_dict().items()))
    weights._metadata = {"": {"version": 1}}
    trainer = {"epoch": 3, "global_step": 470000, "loss": 0.25, "name": "tiny", "state_dict": weights,
               "hyper": argparse.Namespace(rate=1e-4, path=pathlib.PurePosixPath("a/b"), when=datetime.date(2022, 8, 1)),
               "callbacks": {"best": np.float64(0.5), "list": [1, (2, 3), {4}, frozenset([5]), b"six", None, True]},
               "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"params": [0]}]}}
    keep("trainer.ckpt", trainer, dict(weights))
    keep("trainer_legacy.ckpt", trainer, dict(weights), _use_new_zipfile_serialization=False)
    keep("protocol4.pt", {"params_ema": dict(weights)}, dict(weights), pickle_protocol=4)
    embedding = torch.rand(2, 8)
    keep("embedding.pt", {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": {"*": embedding}, "name": "style",
                          "step": 500, "sd_checkpoint": None},
         {"string_to_token.*": torch.tensor(265), "string_to_param.*": embedding})
    keep("list.bin", [{"clip_l": embedding, "clip_g": shared}], {"0.clip_l": embedding, "0.clip_g": shared})
    keep("lone.pt", embedding, {"tensor": embedding})
    keep("transposed.pt", {"w": shared.t()}, "'w' [6, 4] is stored transposed")
    keep("evil.ckpt", {"state_dict": {"w": embedding}, "x": Evil()}, "names __builtin__.print")
    keep("module.pt", torch.nn.Linear(2, 2), "names torch.nn.modules.linear.Linear")
    keep("complex.pt", {"w": torch.complex(shared, shared)}, "names torch.ComplexFloatStorage")
    keep("no_tensor.pt", {"a": 1}, "there is no tensor in it")
    with zipfile.ZipFile(HERE / "lone.pt") as whole, zipfile.ZipFile(HERE / "compressed.pt", "w", zipfile.ZIP_DEFLATED) as file:
        for name in whole.namelist():
            file.writestr(name, whole.read(name))
    wanted["compressed.pt"] = "its tensors are compressed"
    (HERE / "wanted.json").write_text(json.dumps(wanted, indent=0) + "\n")


if __name__ == "__main__":
    main()
