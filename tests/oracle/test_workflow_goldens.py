"""`hearth workflow run` on tiny random checkpoints gives the latents that ComfyUI gave for the same workflows, which
tests/golden/workflow_latents.safetensors keeps: prompt weights and chunks, areas, masks, timestep ranges, LoRA, image
to image, inpainting, sampling in two parts, the refiner, custom sampling, v-prediction."""
import os
import pathlib
import subprocess
import sys

import pytest
from safetensors.numpy import load_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import compare_workflows  # noqa: E402
import workflow_cases  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / os.environ.get("HEARTH_BIN", "build/release/bin")
LATENTS = load_file(ROOT / "tests/golden/workflow_latents.safetensors")
WIDTH, HEIGHT = 128, 96  # the deepest maps have odd sides then
KINDS = {"sd1": "sd1", "sdxl": "sdxl", "inpaint": "sd1_inpaint", "refiner": "sdxl_refiner"}
# Where the noise level starts at 4500, its rounding errors are large beside the picture.
WORST = {"sd1_v_prediction": 1e-3, "sdxl_v_prediction": 1e-3}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workflows")
    checkpoints = {}
    for kind, made_as in KINDS.items():
        checkpoints[kind] = folder / "made" / f"{made_as}.safetensors"
        subprocess.run([BIN / "tiny_picture", made_as, checkpoints[kind]], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "HEARTH_SOURCE_DIR": str(ROOT)})
    workflow_cases.prepare(folder, checkpoints, WIDTH, HEIGHT)
    return folder


def test_every_workflow_has_its_latent():
    names = {f"{family}_{name}" for family in ("sd1", "sdxl") for name in workflow_cases.templates(family)}
    assert names == set(LATENTS)
    assert len(names) >= 24


@pytest.mark.parametrize("name", sorted(LATENTS))
def test_latent_is_comfyuis(cases, name):
    out = cases / "out"
    out.mkdir(exist_ok=True)
    compare_workflows.run_hearth(BIN / "hearth", cases, out, cases / "workflows" / f"{name}.json")
    got = compare_workflows.read_latent(compare_workflows.latent(out, name))
    assert compare_workflows.relative_error(got, LATENTS[name].astype("float64")) <= WORST.get(name, 1e-4)
    pictures = compare_workflows.pictures(out, name)
    assert len(pictures) == len(LATENTS[name]), "and a picture of each"
