"""hearth plan: what it says of a model is what a server then holds, and what it prints for people and programs."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

from comfy_client import picture_graph
from comfy_process import ComfyHearth
from hearth_process import (COMPLETIONS, ROOT, Hearth, RawStream, environment, free_port, model_file, profile, program,
                            run, until)

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
    near(said["total_bytes"], sum(held[key] for key in ("weights", "state", "arena", "batch", "tokenizer")), "total")
    assert abs(said["text_bytes"] - held["tokenizer"]) <= 0.1 * held["tokenizer"]
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


@pytest.mark.parametrize("family, side, batch, cfg, tile", [
    ("sd1", 256, 1, 7, 0), ("sd1", 256, 2, 1, 0), ("sd1", 512, 1, 1, 128), ("sdxl", 256, 1, 7, 0),
    ("sdxl", 128, 3, 7, 0), ("sdxl", 256, 2, 1, 128), ("sprite", 128, 1, 7, 0), ("sprite", 256, 5, 7, 0),
    ("sprite", 512, 1, 1, 128), ("sprite", 512, 4, 7, 0)])
def test_bytes_of_a_picture_model_are_those_of_the_running_server(tmp_path, family, side, batch, cfg, tile):
    folder = tmp_path / "server" / "models" / "checkpoints"
    if family == "sprite":
        file = sprite()
        if not file.exists():
            pytest.skip("the target sprite is not built")
        folder.mkdir(parents=True)
        (folder / file.name).symlink_to(file)
    else:
        file = checkpoint(folder, family)
    tiles = ["--vae-tile", tile] if tile else []
    got = plan(tmp_path, file, "--images", f"{side}x{side}", "--batch", batch, "--cfg", cfg, *tiles)
    said = got["models"][0]
    assert said["kind"] == "picture" and not said["estimate"] and said["largest_batch"] >= batch
    config = f'vae_tiling = "on"\nvae_tile = {tile}\n' if tile else ""
    with ComfyHearth(tmp_path / "server", config) as server:
        before = server.memory_bytes("VmRSS")
        graph = picture_graph(file.name, side, steps=2, seed=1, cfg=cfg)
        for node in graph.values():
            if "batch_size" in node["inputs"]:
                node["inputs"]["batch_size"] = batch
        server.queue(graph)
        while server.get("/prompt")["exec_info"]["queue_remaining"] > 0:
            pass
        held = sums(server.leases())
        peak = server.memory_bytes("VmHWM")
        most = server.get("/memory")["pools"][0]["peak_leased_bytes"]
    near(said["weights_bytes"], held["weights"], "weights")
    near(said["arena_bytes"], held["arena"], "arena")
    if said["total_bytes"] > said["weights_bytes"] + 128 * MIB:  # else the most was held while the file was read
        near(said["total_bytes"], most, "total")
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
    for model in ("sdxl", "sdxl+refiner", "gpt-oss-20b", "gpt-oss-120b", "flux.1-dev"):
        assert all((model, quant) in rows for quant in ("fp16", "fp8", "int4", "nvfp4", "q4_k_m")), model
    # What the wish for pictures in less than three seconds asks for: 16 bits cannot, fewer could.
    assert rows["sdxl", "fp8"]["seconds_at_least"] < 3 < rows["sdxl", "fp16"]["seconds_at_least"]
    assert rows["sdxl", "fp8"]["estimate"] and not rows["sdxl", "fp16"]["estimate"]
    some = plan(tmp_path, "--table", "llama-3.1-405b", "--quant", "nvfp4", "--machine", "h200")
    assert [(row["name"], row["quant"]) for row in some["rows"]] == [("llama-3.1-405b", "nvfp4")]
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
    ((), "--table"),
    (("--table", "--svg", "a.svg"), "--svg"), (("--table", "llama-3.1-80b"), "did you mean 'llama-3.1-8b'"),
    (("--table", "--ctx", "0"), "from 1 to 16777216"), (("--table", "--quant", "q4km"), "did you mean 'q4_k_m'")])
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


def fetch(server, path, body=None):
    """Status and parsed body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, json.loads(data)


def ask(server, **fields):
    return fetch(server, "/plan?" + "&".join(f"{name}={value}" for name, value in fields.items()))


def shipped_sprite(folder):
    if not sprite().exists():
        pytest.skip("the target sprite is not built")
    return folder


def test_the_server_plans_for_pictures_and_words(tmp_path):
    config = profile("smollm2", model_file("smollm2")) + """
[planner]
price_per_kwh = 0.5
currency = "EUR "
power = 60
"""
    with ComfyHearth(shipped_sprite(tmp_path) / "server", config) as server:
        status, got = ask(server, model="sprite", width=256, height=256, batch="auto")
        assert status == 200, got
        assert got["kind"] == "picture" and got["fits"] and got["now"]["fits"]
        assert got["batch"] == got["now"]["largest_batch"] <= got["largest_batch"]
        kinds = ("weights", "state", "arena", "buffer", "text")
        assert got["bytes"]["total"] == sum(got["bytes"][kind] for kind in kinds)
        assert got["seconds"] > 0 and got["limit"] and got["joules_per_picture"] > 0
        assert [phase["phase"] for phase in got["plan"]["models"][0]["phases"]] == [
            "text", "denoising", "decoding", "picture"]
        assert got["price_per_picture"] == pytest.approx(got["joules_per_picture"] / 3.6e6 * 0.5)

        status, words = ask(server, model="smollm2", ctx=1024, parallel=2)
        assert status == 200 and words["context"] == 1024 and words["parallel"] == 2, words
        assert words["token_seconds"] > 0 and words["largest_context"] == 8192
        cli = plan(tmp_path, model_file("smollm2"), "--ctx", 1024, "--parallel", 2)["models"][0]
        assert words["bytes"]["total"] == cli["total_bytes"], "the command line says the same"

        status, spark = ask(server, model="llama-3.1-405b:nvfp4", machine="gb10")
        assert status == 200 and not spark["fits"] and "now" not in spark and spark["machine"] == "gb10"

        for fields, code, needle, param in (
                ({"model": "sprit"}, 404, "did you mean 'sprite'", None),
                ({"model": "%2Fetc%2Fhostname"}, 404, "no installed model", None),
                ({"model": "sprite", "width": 4}, 400, "from 16 to 16384", "width"),
                ({"model": "sprite", "machine": "gb11"}, 400, "did you mean 'gb10'", "machine"),
                ({"model": "llama-3.1-8b", "quant": "q4km"}, 400, "did you mean 'q4_k_m'", "quant"),
                ({"model": "sprite", "quant": "q4_k_m"}, 400, "fp32, fp16 or bf16", "quant"),
                ({"model": "sdxl", "quant": "fp7"}, 400, "did you mean 'fp", "quant"),
                ({"model": "smollm2", "quant": "q8_0"}, 400, "what its file holds", "quant"),
                ({"model": "sprite", "colour": 3}, 400, "unknown field 'colour'", None),
                ({}, 400, "model: missing", "model")):
            status, error = ask(server, **fields)
            assert status == code and needle in error["error"]["message"], error
            assert param is None or error["error"]["param"] == param


def test_free_now_is_what_the_governor_would_grant(tmp_path):
    config = profile("smollm2", model_file("smollm2"), "context = 2048") + '[memory]\nbudget = "1GiB"\n'
    with Hearth(tmp_path, config) as server:
        def now():
            return ask(server, model="smollm2", ctx=2048)[1]

        before = now()
        assert before["now"]["idle_bytes"] == 0 and before["now"]["free_bytes"] <= GIB
        assert server.post(COMPLETIONS, model="smollm2", prompt="x", max_tokens=1)[0] == 200
        held = sum(server.leases().values())
        after = now()
        assert after["now"]["free_bytes"] <= before["now"]["free_bytes"] - held + 64 * MIB
        for _ in range(200):  # until the request's end is seen
            if after["now"]["idle_bytes"] > 0:
                break
            after = now()
        assert after["now"]["idle_bytes"] == pytest.approx(held, rel=0.02), "it could leave"
        assert after["now"]["fits"] and after["bytes"] == before["bytes"]


def test_nobody_waits_for_plans(tmp_path):
    with Hearth(tmp_path, profile("smollm2", model_file("smollm2"))) as server:
        names = ("llama-3.1-70b:q4_k_m", "qwen3-32b:q8_0", "sdxl", "llama-3.1-405b:q8_0")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            plans = [pool.submit(ask, server, model=name, machine="gb10") for name in names]
            while not all(future.done() for future in plans):
                assert fetch(server, "/health")[0] == 200
            assert all(future.result()[0] == 200 for future in plans)


def imagine(folder, *words):
    return run(folder, "imagine", "a red apple", "--steps", 1, "--seed", 1, *words)


def test_a_batch_of_as_many_as_memory_holds(tmp_path):
    shipped_sprite(tmp_path)
    one, eight = (plan(tmp_path, sprite(), "--images", "256x256", "--batch", n)["models"][0]["total_bytes"]
                  for n in (1, 8))
    assert eight > one + 4 * MIB
    (tmp_path / "hearth.toml").write_text(f"""
[memory]
budget = "{(one + (eight - one) // 2) // 1024}KiB"
[presets.many]
steps = 1
batch = "auto"
""")
    done = imagine(tmp_path, "--size", "256x256", "--batch", "auto", "-o", "some.png")
    assert done.returncode == 0, done.stderr
    files = done.stdout.split()
    said = re.search(r"(\d+) of at most 8 pictures at once", done.stderr)
    assert said and 1 < int(said[1]) < 8 and len(files) == int(said[1]), done.stderr
    assert all((tmp_path / name).exists() for name in files)
    assert len(imagine(tmp_path, "--size", "256x256", "-p", "many", "-o", "b.png").stdout.split()) == len(files)
    assert len(imagine(tmp_path, "--size", "256x256", "--batch", "auto:2", "-o", "c.png").stdout.split()) == 2
    refused = imagine(tmp_path, "--size", "256x256", "--batch", "many")
    assert refused.returncode == 2 and "auto:N" in refused.stderr


def room_for_half_of_eight(folder):
    """A budget in which one picture of 256x256 fits with half of what seven more would take."""
    one, eight = (plan(folder, sprite(), "--images", "256x256", "--batch", n)["models"][0]["total_bytes"]
                  for n in (1, 8))
    return f'[memory]\nbudget = "{(one + (eight - one) // 2) // 1024}KiB"\n'


def test_the_api_draws_as_many_as_memory_holds(tmp_path):
    shipped_sprite(tmp_path)
    budget = room_for_half_of_eight(tmp_path)
    with ComfyHearth(tmp_path / "server", budget) as server:
        def drawn(**fields):
            status, answer = fetch(server, "/v1/images/generations", {
                "prompt": "a red apple", "model": "sprite", "size": "256x256", "steps": 1, "seed": 1,
                "response_format": "url", **fields})
            assert status == 200, answer
            return len(answer["data"])

        some = drawn(n="auto")
        assert 1 < some < 8
        assert drawn(n="auto") == some, "what the first has left in memory counts as room"
        assert drawn(n=40, batch="auto") == some and drawn(n=2, batch="auto") == 2 and drawn(n=1) == 1
        assert drawn(batch="auto") == some, "nobody said one"
        status, error = fetch(server, "/v1/images/generations", {"prompt": "x", "n": "many"})
        assert status == 400 and error["error"]["param"] == "n", error


def test_a_refused_picture_names_what_fits_and_that_does(tmp_path):
    shipped_sprite(tmp_path)
    four = plan(tmp_path, sprite(), "--images", "512x512", "--batch", 4)["models"][0]["total_bytes"]
    (tmp_path / "hearth.toml").write_text(f'[memory]\nbudget = "{four // 1024}KiB"\n[pictures]\nvae_tiling = "off"\n')
    done = imagine(tmp_path, "--size", "512x512", "--batch", 60, "-o", "a.png")
    assert done.returncode == 1 and "What would fit: a batch of " in done.stderr, done.stderr
    batch = int(re.search(r"a batch of (\d+)", done.stderr)[1])
    assert 1 <= batch < 60
    done = imagine(tmp_path, "--size", "512x512", "--batch", batch, "-o", "b.png")
    assert done.returncode == 0, done.stderr


def test_a_model_of_the_command_line_is_planned_as_it_is_loaded(tmp_path):
    with Hearth(tmp_path / "given", "[llm]\ncontext = 512\nparallel = 2\n", "-m", model_file("smollm2")) as server:
        name = json.loads(server.request("GET", "/v1/models")[2])["data"][0]["id"]
        status, got = ask(server, model=name)
        assert status == 200, got
        assert (got["context"], got["parallel"], got["now"]["is_loaded"]) == (512, 2, False)
    config = profile("smollm2", model_file("smollm2"), "context = 1024", 'state_dtype = "f32"', "pin = true")
    config += '[llm]\nparallel = 2\n[memory]\nbudget = "400MiB"\n'
    with Hearth(tmp_path / "own", config) as server:
        held = sum(server.leases().values())
        got = ask(server, model="smollm2")[1]
        assert got["context"] == 1024 and got["bytes"]["total"] == pytest.approx(held, rel=0.02)
        assert got["now"]["is_loaded"] and got["now"]["fits"], "pinned: neither free nor idle"
        assert ask(server, model="smollm2", ctx=512, kv_dtype="f16")[1]["bytes"]["state"] < got["bytes"]["state"] / 2


def test_the_command_line_plans_a_model_as_its_profile_loads_it(tmp_path):
    config = profile("smollm2", model_file("smollm2"), "context = 1024", 'state_dtype = "f32"', 'alias = ["chat"]')
    (tmp_path / "hearth.toml").write_text(config + "[llm]\nparallel = 2\ncontext = 4096\n")
    for name in ("smollm2", "chat"):
        said = plan(tmp_path, name)["models"][0]
        assert (said["context"], said["parallel"], said["state_dtype"]) == (1024, 2, "f32")
    flags = plan(tmp_path, "smollm2", "--ctx", 512, "--kv-dtype", "f16")["models"][0]
    assert (flags["context"], flags["parallel"], flags["state_dtype"]) == (512, 2, "f16")
    both = plan(tmp_path, "smollm2", "qwen3-0.6b:q8_0", "--machine", "gb10")["models"]
    assert [(said["context"], said["state_dtype"]) for said in both] == [(1024, "f32"), (4096, "f16")]


def test_room_for_pictures_is_the_same_before_a_job_and_in_it(tmp_path):
    shipped_sprite(tmp_path)
    budget = room_for_half_of_eight(tmp_path)
    with ComfyHearth(tmp_path / "server", budget) as server:
        def room():
            return ask(server, model="sprite", width=256, height=256, batch="auto")[1]["batch"]

        def draw(steps, seed):
            server.queue(picture_graph(sprite().name, 256, steps=steps, seed=seed))

        def is_drawing():
            return server.get("/prompt")["exec_info"]["queue_remaining"] > 0

        draw(1, 1)
        while is_drawing():
            pass
        before = room()
        assert 1 < before < 8
        draw(60, 2)
        seen = []
        while is_drawing():
            seen.append(room())
        assert len(seen) > 5 and set(seen) == {before}, (before, seen)


def test_the_page_is_offered_a_batch_its_form_takes(tmp_path):
    presets = '[presets.memory]\nbatch = "auto:4096"\n[presets.four]\nbatch = 4\n[presets.more]\nbatch = 100\n'
    with ComfyHearth(tmp_path, presets) as server:
        said = {preset["name"]: (preset["batch"], preset["batch_is_auto"]) for preset in server.get("/hearth/presets")}
    assert said["memory"] == (1, True) and said["four"] == (4, False) and said["more"] == (64, False)


def test_the_server_names_a_larger_model_where_one_fits(tmp_path):
    free_memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if shutil.disk_usage(tmp_path).free < 8 * GIB or free_memory < 4 * GIB:
        pytest.skip("nothing larger fits the memory and the disk here")
    with Hearth(tmp_path / "a") as server:
        pass
    said = "".join(server.log)
    line = re.search(r"a larger model for this machine: (.*)", said)
    assert line, said
    assert re.search(r"needs [\d.]+ [MG]iB of the [\d.]+ [MG]iB .* get it with `hearth pull hf:", line[1]), line[1]
    with Hearth(tmp_path / "b", '[memory]\nbudget = "64MiB"\n') as server:
        pass
    assert "a larger model" not in "".join(server.log), "nothing fits"


def recorded_machine(folder, quota):
    """This machine, but for the processor time it gives."""
    for path, text in (("proc/meminfo", pathlib.Path("/proc/meminfo").read_text()), ("proc/self/cgroup", "0::/\n"),
                       ("sys/fs/cgroup/cpu.max", f"{quota} 100000\n")):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return {"HEARTH_TEST_MACHINE": str(folder)}


def test_the_larger_model_is_judged_by_what_this_machine_has_shown(tmp_path):
    slow = recorded_machine(tmp_path / "slow", 10)  # a ten-thousandth of a CPU: no model reaches ten tokens a second
    with Hearth(tmp_path / "a", profile("smollm2", model_file("smollm2")), env=slow) as server:
        said = ask(server, model="smollm2")[1]
        rates = said["plan"]["machine"]["rates"]
        assert "that get the time of 0.0001 CPUs" in rates and said["token_seconds"] > 0.1, said
    assert "a larger model" not in "".join(server.log)


def test_a_server_at_work_plans_with_the_rates_it_began_with(tmp_path):
    with Hearth(tmp_path, profile("smollm2", model_file("smollm2"))) as server:
        stream = RawStream(server, COMPLETIONS, {"model": "smollm2", "prompt": "x", "max_tokens": 4000,
                                                 "ignore_eos": True})
        stream.read_until(b"data")
        first, second = (ask(server, model="qwen3-0.6b")[1] for _ in range(2))
        assert first["plan"]["machine"]["rates"] == second["plan"]["machine"]["rates"]
        stream.reset()
        begun = server.metrics()
        assert begun["hearth_steps_total"] > 0
    alone = json.loads(doctor("plan", "qwen3-0.6b", "--json").stdout)
    here = alone["models"][0]["phases"][1]["seconds_at_least"]
    assert first["token_seconds"] < 2.5 * here, "the rates are not those beside a chat"


def test_a_quiet_server_says_nothing_when_all_is_well(tmp_path):
    port = free_port()
    config = profile("smollm2", model_file("smollm2"))
    (tmp_path / "hearth.toml").write_text(config)
    process = subprocess.Popen([program(), "serve", "--port", str(port), "--device", "cpu", "--quiet"], cwd=tmp_path,
                               env=environment(tmp_path), stderr=subprocess.PIPE, text=True)

    def answers():
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False

    assert until(answers)
    process.terminate()
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 0 and " I " not in said, said


def doctor(*words):
    return subprocess.run([program().parent / "hearth-doctor", *map(str, words)], capture_output=True, text=True,
                          check=False)


def without_kernels_of_the_cpu(answer):
    """A plan less what depends on whether the build has kernels of a GPU: the arena, and the line that says so."""
    answer = json.loads(answer) if isinstance(answer, str) else answer
    for model in answer["models"]:
        model["notes"] = [note for note in model["notes"] if "no kernels of that GPU" not in note]
        if answer["machine"]["name"] != "cpu":
            model["total_bytes"] -= model.pop("arena_bytes")
    return answer


def test_the_small_program_plans_as_the_large_one_does(tmp_path):
    alone = doctor("plan", "--table", "--json")
    assert alone.returncode == 0, alone.stderr
    assert json.loads(alone.stdout) == plan(tmp_path, "--table")
    assert "two machines together" in doctor("plan", "--table").stdout
    for machine in ("cpu", "gb10"):
        words = (model_file("smollm2"), "sdxl", "--machine", machine, "--ctx", 1024, "--images", "512x512")
        alone = doctor("plan", *words, "--json")
        assert alone.returncode == 0, alone.stderr
        assert without_kernels_of_the_cpu(alone.stdout) == without_kernels_of_the_cpu(plan(tmp_path, *words))
    here = doctor("plan", model_file("smollm2"))
    assert here.returncode == 0 and "measured here with" in here.stdout, here.stderr
    missing = doctor("plan", "llama-3.1-80b")
    assert missing.returncode == 1 and "did you mean 'llama-3.1-8b'" in missing.stderr
    assert "plan" in doctor("--help").stdout and "--table" in doctor("plan", "--help").stdout


def test_the_small_program_is_small_and_needs_nothing():
    file = program().parent / "hearth-doctor"
    kind = subprocess.run(["ldd", file], capture_output=True, text=True, check=False)
    if "not a dynamic executable" not in kind.stdout + kind.stderr and "statically linked" not in kind.stdout:
        pytest.skip("a build with sanitizers")
    assert file.stat().st_size < 8 * MIB
