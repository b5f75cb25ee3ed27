#!/usr/bin/env python3
"""Gathers the latents that ComfyUI gives for the workflows of tests/oracle/comfy_workflows on the tiny random
checkpoints into workflow_latents.safetensors, beside this file.

    B=build/release/bin W=/tmp/tiny
    for kind in sd1 sdxl sd1_inpaint sdxl_refiner; do $B/tiny_picture $kind $W/$kind.safetensors; done
    python tests/oracle/workflow_cases.py $W/cases --size 128x96 --sd1 $W/sd1.safetensors --sdxl $W/sdxl.safetensors \\
        --inpaint $W/sd1_inpaint.safetensors --refiner $W/sdxl_refiner.safetensors
    python tests/oracle/run_comfy.py --comfy COMFYUI_SOURCE $W/cases $W/reference
    python tests/golden/make_workflow_latents.py $W/reference
"""
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "oracle"))
from compare_workflows import read_latent  # noqa: E402
from workflow_cases import write_tensors  # noqa: E402


def main():
    latents = {path.stem.rsplit("_", 2)[0]: read_latent(path).astype(np.float32)
               for path in sorted(pathlib.Path(sys.argv[1]).glob("*.latent"))}
    write_tensors(HERE / "workflow_latents.safetensors", latents)
    print(len(latents), "latents")


if __name__ == "__main__":
    main()
