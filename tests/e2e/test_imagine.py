"""hearth imagine and hearth workflow over tiny random checkpoints: files, seeds, batches that go on, and what is
refused."""
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


@pytest.mark.parametrize("name, text, words, wanted", [
    ("p.csv", "prompt,seed\na fox,\na hen,7\n", ("--seeds", "1..2"), "record 3: 'seed' is set here and by --seeds"),
    ("p.jsonl", '{"prompt": "a fox", "seed": 7}\n', ("--seeds", "1..2"), "jsonl:1: 'seed' is set here and by --seeds"),
    ("p.csv", "prompt,steps\na fox,3\n", ("--grid", "steps=2,3"), "'steps' is set here and by --grid steps"),
])
def test_what_a_file_and_a_flag_both_set_is_refused(tmp_path, checkpoints, name, text, words, wanted):
    (tmp_path / name).write_text(text)
    done = imagine(tmp_path, checkpoints, "--from", name, "--out", "out", *words)
    assert done.returncode == 2 and wanted in done.stderr, done.stderr
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_every_record_may_have_a_seed_of_its_own(tmp_path, checkpoints):
    (tmp_path / "p.csv").write_text("prompt,seed\na fox,7\na hen,\n")
    done = imagine(tmp_path, checkpoints, "--from", "p.csv", "--grid", "steps=2", "--out", "out", "-q")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert [(line["prompt"], line["seed"]) for line in lines] == [("a fox", 7), ("a hen", 0)]


def test_stopping_leaves_nothing_behind(tmp_path, checkpoints):
    words = [program(), "imagine", "a fox", "-m", checkpoints / "sd1.safetensors", "--size", "256x256",
             "--steps", "10000"]
    running = subprocess.Popen(words, cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
    assert until(lambda: any(tmp_path.glob(".hearth-*")))
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=10) == 1
    assert "stopped" in running.stderr.read()
    assert not any(tmp_path.glob("*.png")) and not any(tmp_path.glob(".hearth-*"))


def test_how_a_picture_is_computed_can_be_chosen(tmp_path, checkpoints):
    """None of it changes more of a picture than rounding does; what ComfyUI's own nodes can say stays in them."""
    def draw(name, *words):
        done = imagine(tmp_path, checkpoints, "a fox", "--seed", 1, "-o", f"{name}.png", *words)
        assert done.returncode == 0, done.stderr
        prompt = json.loads(Image.open(tmp_path / f"{name}.png").text["prompt"])
        return pixels(tmp_path / f"{name}.png"), {node["class_type"] for node in prompt.values()}

    plain, nodes = draw("plain")
    assert "HearthComputeOptions" not in nodes
    for name, words in (("half", ("--precision", "bf16")), ("exact", ("--attention", "exact"))):
        other, nodes = draw(name, *words)
        assert "HearthComputeOptions" in nodes and abs(other - plain).mean() < 1, name
    _, nodes = draw("tiled", "--vae-tile", 64)
    assert "VAEDecodeTiled" in nodes and "HearthComputeOptions" not in nodes
    whole, _ = draw("whole", "--vae-tiling", "off", "--vae-slicing", "off")
    assert numpy.array_equal(whole, plain)


def test_the_configuration_says_how_pictures_are_computed(tmp_path, checkpoints):
    def draw():
        return imagine(tmp_path, checkpoints, "a fox", "--seed", 1, "-o", "a.png")

    (tmp_path / "hearth.toml").write_text('[presets.balanced]\nprecision = "bf16"\nvae_slicing = false\n')
    assert draw().returncode == 0
    prompt = json.loads(Image.open(tmp_path / "a.png").text["prompt"])
    asked = next(node["inputs"] for node in prompt.values() if node["class_type"] == "HearthComputeOptions")
    assert (asked["precision"], asked["attention"], asked["vae_slicing"]) == ("bf16", "default", "off")
    (tmp_path / "hearth.toml").write_text('[pictures]\nprecision = "bf16"\n')
    assert draw().returncode == 0
    assert "HearthComputeOptions" not in Image.open(tmp_path / "a.png").text["prompt"]
    (tmp_path / "hearth.toml").write_text('[pictures]\nattention = "sage"\n')
    refused = draw()
    assert refused.returncode != 0 and "auto, tiled, exact" in refused.stderr


def test_a_grid_of_how_and_a_batch_without_a_seed_go_on(tmp_path, checkpoints):
    words = ("a fox", "--grid", "precision=auto,bf16", "--grid", "attention=tiled,exact", "--out", "out", "-q")
    assert "4 pictures in out, 4 of them new" in imagine(tmp_path, checkpoints, *words).stdout
    assert "4 pictures in out, 0 of them new" in imagine(tmp_path, checkpoints, *words).stdout
    lines = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert [(line["precision"], line["attention"]) for line in lines] == [
        ("auto", "tiled"), ("auto", "exact"), ("bf16", "tiled"), ("bf16", "exact")]


def test_a_wrong_line_of_a_list_is_found_before_anything_is_drawn(tmp_path, checkpoints):
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a fox"}\n{"prompt": "a hen", "sampler": "eulr"}\n')
    done = imagine(tmp_path, checkpoints, "--from", "prompts.jsonl", "--out", "out")
    assert done.returncode == 2 and "did you mean 'euler'?" in done.stderr, done.stderr
    assert not any((tmp_path / "out").glob("*.png"))


@pytest.mark.parametrize("words, wanted", [
    (("a fox", "-m", "nothing"), "nothing"),
    (("a fox", "--preset", "nothing"), "there are balanced, batch, quality"),
    (("a fox", "--size", "big"), "WIDTHxHEIGHT"),
    (("a fox", "--sampler", "euler_ancestal"), "did you mean 'euler_ancestral'?"),
    (("a fox", "--scheduler", "nothing"), "no scheduler 'nothing'"),
    (("a fox", "--precision", "fp8"), "wanted one of auto, fp32, fp16, bf16"),
    (("a fox", "--attention", "sage"), "no attention 'sage' on the CPU; wanted one of auto, tiled, exact"),
    (("a fox", "--vae-slicing", "maybe"), "wanted on or off"),
    (("a fox", "--vae-tiling", "maybe"), "wanted one of auto, on, off"),
    (("a fox", "--vae-tile", "100"), "a multiple of 32 from 64 to 4096"),
    (("a fox", "--seeds", "1", "--out", "o", "-o", "x.png"), "leave it out"),
    (("a fox", "--batch", "2", "--seeds", "1", "--out", "o"), "--seeds"),
    (("a fox", "--grid", "steps=2", "--grid", "sampler=euler,eule", "--out", "o"), "did you mean 'euler'?"),
    (("a fox", "--init", "nothing.png"), "no such file"),
    (("a fox", "--seeds", "1..3"), "--out"),
    (("a fox", "--seed", "1", "--seeds", "1..3", "--out", "o"), "leave one of them out"),
    (("a fox", "--grid", "seed=1,2", "--seeds", "1..3", "--out", "o"), "--seeds sets that already"),
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
    said = {pathlib.Path(line.split(":")[0]).name: line for line in done.stdout.splitlines()
            if not line.startswith(" ")}
    assert said["good.json"].endswith(": ok") and sum(line.endswith("cannot run") for line in said.values()) == 4
    for words in ("none.safetensors", "IPAdapterAdvanced", "ComfyUI_IPAdapter_plus", "Export (API)"):
        assert words in done.stdout, done.stdout
    assert run(tmp_path, "workflow", "check", "flows/good.json").returncode == 0
    done = run(tmp_path, "workflow", "run", "flows/good.json")
    assert done.returncode == 0 and done.stdout.strip().endswith("W_00001_.png"), done.stderr
    assert Image.open(done.stdout.strip()).format == "PNG"
    assert run(tmp_path, "workflow", "run", "flows/missing.json").returncode == 1


def test_a_file_that_cannot_run_does_not_keep_the_others_from_running(tmp_path, checkpoints):
    (tmp_path / "hearth.toml").write_text(f'[pictures]\nmodels_dir = "{tmp_path}/m"\n')
    (tmp_path / "m").mkdir()
    (tmp_path / "m/checkpoints").symlink_to(checkpoints)
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "a-broken.json").write_text("{")
    (flows / "b-editor.json").write_text('{"nodes": [], "links": []}')
    (flows / "c-list.json").write_text("[1, 2]")
    (flows / "d-missing.json").write_text(workflow("none.safetensors"))
    (flows / "e-good.json").write_text(workflow("sd1.safetensors"))
    done = run(tmp_path, "workflow", "run", "-q", "flows")
    assert done.returncode == 1
    assert [pathlib.Path(line).name for line in done.stdout.splitlines()] == ["W_00001_.png"], done.stderr
    said = {line.split(":")[0] for line in done.stderr.splitlines() if line.startswith("flows/")}
    assert said == {f"flows/{name}.json" for name in ("a-broken", "b-editor", "c-list", "d-missing")}
