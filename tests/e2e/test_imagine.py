"""hearth imagine and hearth workflow over tiny random checkpoints: files, seeds, batches that go on, and what is refused."""
import io
import json
import os
import pathlib
import signal
import subprocess

import numpy
import pytest
from PIL import Image

from hearth_process import ROOT, environment, program, run, until

SMALL = ("--size", "64x64", "--steps", "3", "--sampler", "euler", "--scheduler", "normal", "--no-preview")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    made = {**os.environ, "HEARTH_SOURCE_DIR": str(ROOT)}
    for name in ("sd1", "sdxl"):
        subprocess.run([program().parent / "tiny_picture", name, folder / f"{name}.safetensors"], env=made, check=True,
                       capture_output=True)
    return folder


def imagine(tmp_path, checkpoints, *words, model="sd1"):
    return run(tmp_path, "imagine", *words, "-m", checkpoints / f"{model}.safetensors", *SMALL)


def pixels(path):
    return numpy.asarray(Image.open(path).convert("RGB"), dtype=float)


@pytest.mark.parametrize("model", ["sd1", "sdxl"])
def test_a_seed_names_a_picture(tmp_path, checkpoints, model):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        done = imagine(tmp_path, checkpoints, "a fox", "--seed", seed, "-o", f"{name}.png", model=model)
        assert done.returncode == 0 and done.stdout == f"{name}.png\n", done.stderr
        assert f"seed {seed}, 64x64, 3 steps" in done.stderr and "peak memory" in done.stderr
    files = {name: (tmp_path / f"{name}.png").read_bytes() for name in "abc"}
    assert files["a"] == files["b"] != files["c"]
    prompt = json.loads(Image.open(io.BytesIO(files["a"])).text["prompt"])
    assert {node["class_type"] for node in prompt.values()} >= {"CheckpointLoaderSimple", "KSampler", "SaveImage"}
    assert any(node["inputs"].get("text") == "a fox" for node in prompt.values())
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".hearth")) == []


def test_formats_and_batches_of_one_prompt(tmp_path, checkpoints):
    assert imagine(tmp_path, checkpoints, "a fox", "--seed", 1, "--batch", 2, "-o", "two.webp").returncode == 0
    first, second = (pixels(tmp_path / f"two-{i}.webp") for i in (1, 2))
    assert first.shape == second.shape and not numpy.array_equal(first, second)
    assert imagine(tmp_path, checkpoints, "a fox", "--seed", 1, "-o", "one.jpg").returncode == 0
    assert Image.open(tmp_path / "one.jpg").format == "JPEG"


def test_a_picture_to_start_from_and_a_mask(tmp_path, checkpoints):
    size = 64
    ramp = numpy.linspace(0, 255, size, dtype=numpy.uint8)
    Image.fromarray(numpy.stack([numpy.tile(ramp, (size, 1))] * 3, -1)).save(tmp_path / "init.png")
    mask = numpy.zeros((size, size), numpy.uint8)
    mask[:, size // 2:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    for name, words in (("weak", ("--denoise", 0.1)), ("strong", ("--denoise", 1)), ("masked", ("--mask", "mask.png"))):
        done = imagine(tmp_path, checkpoints, "a fox", "--seed", 1, "--init", "init.png", "-o", f"{name}.png", *words)
        assert done.returncode == 0, done.stderr
    weak, strong, masked = (pixels(tmp_path / f"{name}.png") for name in ("weak", "strong", "masked"))
    # What a random decoder makes of a kept latent is no picture of the input; that it is kept is the engine's own test.
    assert abs(weak - strong).mean() > 1 and abs(masked - strong).mean() > 1 and abs(masked - weak).mean() > 1
    refused = imagine(tmp_path, checkpoints, "a fox", "--mask", "mask.png")
    assert refused.returncode == 2 and "--init" in refused.stderr


def test_a_batch_goes_on_where_it_was(tmp_path, checkpoints):
    (tmp_path / "prompts.csv").write_text('prompt,cfg\n"a fox, red",3\na hen,\n')
    words = ("--from", "prompts.csv", "--grid", "steps=2,3", "--seeds", "1..2", "--out", "out", "-q")
    done = imagine(tmp_path, checkpoints, *words)
    assert done.returncode == 0 and "8 pictures in out, 8 of them new" in done.stdout, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert [(line["prompt"], line["steps"], line["seed"]) for line in lines] == [
        (prompt, steps, seed) for prompt in ("a fox, red", "a hen") for steps in (2, 3) for seed in (1, 2)]
    assert lines[0]["cfg"] == 3 and lines[4]["cfg"] == 7
    first = (tmp_path / "out" / lines[0]["file"])
    before = first.read_bytes()
    first.unlink()
    assert "8 pictures in out, 1 of them new" in imagine(tmp_path, checkpoints, *words).stdout
    assert first.read_bytes() == before
    assert Image.open(tmp_path / "out/contact-sheet.png").size[0] > 256


def test_stopping_leaves_nothing_behind(tmp_path, checkpoints):
    words = [program(), "imagine", "a fox", "-m", checkpoints / "sd1.safetensors", "--size", "256x256", "--steps", "10000"]
    running = subprocess.Popen(words, cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
    assert until(lambda: any(tmp_path.glob(".hearth-*")))
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=10) == 1
    assert "stopped" in running.stderr.read()
    assert not any(tmp_path.glob("*.png")) and not any(tmp_path.glob(".hearth-*"))


@pytest.mark.parametrize("words, wanted", [
    (("a fox", "-m", "nothing"), "nothing"),
    (("a fox", "--preset", "nothing"), "there are balanced, batch, quality"),
    (("a fox", "--size", "big"), "WIDTHxHEIGHT"),
    (("a fox", "--sampler", "nothing"), "Value not in list"),
    (("a fox", "--init", "nothing.png"), "no such file"),
    (("a fox", "--seeds", "1..3"), "--out"),
    (("a fox", "--seeds", "3..1", "--out", "o"), "below the first"),
    (("a fox", "--grid", "colour=1", "--out", "o"), "unknown setting 'colour'"),
    ((), "what to draw"),
])
def test_refusals_say_what_was_wanted(tmp_path, checkpoints, words, wanted):
    model = () if "-m" in words else ("-m", checkpoints / "sd1.safetensors")
    done = run(tmp_path, "imagine", *words, *model)
    assert done.returncode in (1, 2) and wanted in done.stderr, done.stderr
    assert not any(tmp_path.glob("*.png"))


def workflow(checkpoint, **changes):
    nodes = {"1": ("CheckpointLoaderSimple", {"ckpt_name": checkpoint}),
             "2": ("CLIPTextEncode", {"text": "a fox", "clip": ["1", 1]}),
             "3": ("EmptyLatentImage", {"width": 64, "height": 64, "batch_size": 1}),
             "4": ("KSampler", {"model": ["1", 0], "seed": 3, "steps": 2, "cfg": 4, "sampler_name": "euler",
                                "scheduler": "normal", "positive": ["2", 0], "negative": ["2", 0],
                                "latent_image": ["3", 0], "denoise": 1}),
             "5": ("VAEDecode", {"samples": ["4", 0], "vae": ["1", 2]}),
             "6": ("SaveImage", {"images": ["5", 0], "filename_prefix": "W"})} | changes
    return json.dumps({id: {"class_type": kind, "inputs": inputs} for id, (kind, inputs) in nodes.items()})


def test_workflows_are_checked_and_run(tmp_path, checkpoints):
    (tmp_path / "hearth.toml").write_text(f'[pictures]\nmodels_dir = "{tmp_path}/m"\n')
    (tmp_path / "m").mkdir()
    (tmp_path / "m/checkpoints").symlink_to(checkpoints)
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "good.json").write_text(workflow("sd1.safetensors"))
    (flows / "missing.json").write_text(workflow("none.safetensors"))
    (flows / "pack.json").write_text(workflow("sd1.safetensors", **{"7": ("IPAdapterAdvanced", {})}))
    (flows / "editor.json").write_text('{"nodes": [], "links": []}')
    (flows / "broken.json").write_text("{")
    done = run(tmp_path, "workflow", "check", "flows")
    assert done.returncode == 1
    said = {pathlib.Path(line.split(":")[0]).name: line for line in done.stdout.splitlines() if not line.startswith(" ")}
    assert said["good.json"].endswith(": ok") and sum(line.endswith("cannot run") for line in said.values()) == 4
    for words in ("none.safetensors", "IPAdapterAdvanced", "ComfyUI_IPAdapter_plus", "Export (API)"):
        assert words in done.stdout, done.stdout
    assert run(tmp_path, "workflow", "check", "flows/good.json").returncode == 0
    done = run(tmp_path, "workflow", "run", "flows/good.json")
    assert done.returncode == 0 and done.stdout.strip().endswith("W_00001_.png"), done.stderr
    assert Image.open(done.stdout.strip()).format == "PNG"
    assert run(tmp_path, "workflow", "run", "flows/missing.json").returncode == 1
