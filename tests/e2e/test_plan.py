"""hearth plan: what it says of a model is what a server then holds, and what it prints for people and programs."""
import json
import os
import pathlib
import subprocess
import xml.etree.ElementTree

import pytest

from comfy_client import picture_graph
from comfy_process import ComfyHearth
from hearth_process import COMPLETIONS, ROOT, Hearth, model_file, profile, program, run

MIB = 1 << 20
GIB = 1 << 30


def plan(folder, *words):
    done = run(folder, "plan", *words, "--json")
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def sums(leases):
    """Bytes by the first word of the holder: weights, state, arena, batch."""
    out = {}
    for name, value in leases.items():
        holder = name.split('"')[3].split()[0]
        out[holder] = out.get(holder, 0) + value
    return out


def near(planned, held, what):
    assert abs(planned - held) <= 0.02 * held, f"{what}: planned {planned}, held {held:.0f}"


@pytest.mark.parametrize("name, context, parallel", [("smollm2", 2048, 4), ("smollm2", 512, 1), ("gemma3", 4096, 2)])
def test_bytes_of_a_language_model_are_those_of_the_running_server(tmp_path, name, context, parallel):
    file = model_file(name)
    got = plan(tmp_path, file, "--ctx", context, "--parallel", parallel)
    said = got["models"][0]
    assert got["fits"] and not said["estimate"]
    config = profile(name, file, f"context = {context}") + f"[llm]\nparallel = {parallel}\n"
    with Hearth(tmp_path / "server", config) as server:
        before = server.memory_bytes("VmRSS")
        prompt = [100 + i % 9000 for i in range(context // 2)]
        status, answer = server.post(COMPLETIONS, model=name, prompt=prompt, max_tokens=8, ignore_eos=True)
        assert status == 200, answer
        held = sums(server.leases())
        peak = server.memory_bytes("VmHWM")
    for field, holder in (("weights_bytes", "weights"), ("state_bytes", "state"), ("arena_bytes", "arena"),
                          ("buffer_bytes", "batch")):
        near(said[field], held[holder], field)
    near(said["total_bytes"], sum(held[key] for key in ("weights", "state", "arena", "batch")), "total")
    # What the process took: pages of state nobody touched are not in memory yet, tokenizer and buffers are beside it.
    assert said["weights_bytes"] <= peak <= before + said["total_bytes"] + 120 * MIB


def checkpoint(folder, family):
    path = folder / f"{family}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([program().parent / "tiny_picture", family, path], check=True, capture_output=True,
                   env={**os.environ, "HEARTH_SOURCE_DIR": str(ROOT)})
    return path


def sprite():
    return program().resolve().parent.parent / "share/hearth/models/checkpoints/sprite.safetensors"


@pytest.mark.parametrize("family, side, batch", [("sd1", 256, 1), ("sdxl", 256, 1), ("sdxl", 128, 3),
                                                 ("sprite", 128, 1)])
def test_bytes_of_a_picture_model_are_those_of_the_running_server(tmp_path, family, side, batch):
    folder = tmp_path / "server" / "models" / "checkpoints"
    if family == "sprite":
        file = sprite()
        if not file.exists():
            pytest.skip("the target sprite is not built")
        folder.mkdir(parents=True)
        (folder / file.name).symlink_to(file)
    else:
        file = checkpoint(folder, family)
    got = plan(tmp_path, file, "--images", f"{side}x{side}", "--batch", batch)
    said = got["models"][0]
    assert said["kind"] == "picture" and not said["estimate"] and said["largest_batch"] >= batch
    with ComfyHearth(tmp_path / "server") as server:
        before = server.memory_bytes("VmRSS")
        graph = picture_graph(file.name, side, steps=2, seed=1)
        for node in graph.values():
            if "batch_size" in node["inputs"]:
                node["inputs"]["batch_size"] = batch
        server.queue(graph)
        while server.get("/prompt")["exec_info"]["queue_remaining"] > 0:
            pass
        held = sums(server.leases())
        peak = server.memory_bytes("VmHWM")
    near(said["weights_bytes"], held["weights"], "weights")
    near(said["arena_bytes"], held["arena"], "arena")
    assert peak <= before + said["total_bytes"] + 120 * MIB


def test_several_models_share_one_budget(tmp_path):
    words = ("llama-3.1-8b:q4_k_m", "sdxl", "--machine", "gb10", "--ctx", 8192)
    got = plan(tmp_path, *words)
    assert got["fits"] and got["needed_bytes"] == sum(model["total_bytes"] for model in got["models"])
    assert got["left_bytes"] == got["budget_bytes"] - got["needed_bytes"]
    assert got["budget_bytes"] < 0.9 * got["machine"]["memory_bytes"]
    text = run(tmp_path, "plan", *words).stdout
    assert "GiB (" in text and " GB)" in text and "lower bounds" in text and "memory bandwidth, 230 GB/s" in text


def test_what_does_not_fit_says_so_and_fails(tmp_path):
    done = run(tmp_path, "plan", "llama-3.1-70b", "--machine", "rtx4090")
    assert done.returncode == 1 and "It does not fit:" in done.stdout


def test_the_table_tells_the_truth(tmp_path):
    rows = {(row["name"], row["quant"]): row for row in plan(tmp_path, "--table")["rows"]}
    assert all(rows["llama-3.1-405b", quant]["left_on_one_bytes"] < -50 * GIB for quant in ("int4", "nvfp4", "q4_k_m"))
    assert 0 < rows["llama-3.1-405b", "nvfp4"]["left_on_two_bytes"] < 8 * GIB
    assert rows["deepseek-r1", "nvfp4"]["left_on_two_bytes"] < 0 and rows["deepseek-r1", "nvfp4"]["estimate"]
    text = run(tmp_path, "plan", "--table").stdout
    assert "two machines together" in text and "GB (10^9 bytes)" in text and "* estimate" in text


def test_a_chart_is_drawn(tmp_path):
    done = run(tmp_path, "plan", "qwen3-8b:q8_0", "sdxl", "--machine", "gb10", "--svg", "memory.svg")
    assert done.returncode == 0, done.stderr
    root = xml.etree.ElementTree.parse(tmp_path / "memory.svg").getroot()
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(word.startswith("budget") for word in words) and "tokens of context" in words
    assert "pictures at once" in words and len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 9


@pytest.mark.parametrize("words, needle", [
    (("llama-3.1-80b",), "did you mean 'llama-3.1-8b'"), (("llama-3.1-8b", "--quant", "q4km"), "did you mean 'q4_k_m'"),
    (("llama-3.1-8b", "--machine", "gb11"), "did you mean 'gb10'"), (("sdxl", "--images", "wide"), "WIDTHxHEIGHT"),
    (("llama-3.1-8b", "--kv-dtype", "q4"), "f32, f16 or bf16"), (("/nowhere/model.gguf",), "model.gguf"),
    ((), "--table")])
def test_mistakes_are_told_in_words(tmp_path, words, needle):
    done = run(tmp_path, "plan", *words)
    assert done.returncode in (1, 2) and needle in done.stderr, done.stderr
    assert "terminate" not in done.stderr


def test_an_installed_model_by_name_and_a_batch_of_its_own(tmp_path):
    file = model_file("smollm2")
    assert run(tmp_path, "pull", f"file:{file}", "--as", "tiny", "--link").returncode == 0
    assert plan(tmp_path, "tiny")["models"][0]["weights_bytes"] > 80 * MIB
    got = plan(tmp_path, "sdxl", "--machine", "gb10", "--batch", "auto")["models"][0]
    assert got["batch"] == got["largest_batch"] >= 8
    assert pathlib.Path(file).exists()
