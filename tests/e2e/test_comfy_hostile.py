"""`hearth serve` against prompts and paths that nobody should send: each gets its documented answer, and a picture that
is being drawn, the memory held and the files outside its folders stay as they were."""
import concurrent.futures
import io
import json
import random
import sqlite3
import struct
import zlib

import numpy
import pytest
from PIL import Image

from comfy_client import node, run, types, wait_quiet
from comfy_process import CHECKPOINT, ENDLESS, ComfyHearth, graph

WHOLE = {"no_prompt", "invalid_json", "invalid_prompt", "invalid_prompt_id", "missing_node_type", "prompt_no_outputs",
         "prompt_outputs_failed_validation"}
OF_INPUTS = {"required_input_missing", "bad_linked_input", "return_type_mismatch", "invalid_input_type",
             "value_smaller_than_min", "value_bigger_than_max", "value_not_in_list", "custom_validation_failed",
             "dependency_cycle", "exception_during_inner_validation", "exception_during_validation",
             "invalid_dynamic_input"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ComfyHearth(tmp_path_factory.mktemp("robust") / "server") as running:
        picture = io.BytesIO()
        Image.new("RGBA", (16, 16), (200, 100, 50, 128)).save(picture, "PNG")
        assert running.upload("/upload/image", "in.png", picture.getvalue())[0] == 200
        yield running


def bases():
    """Graphs of several families that run as they are."""
    advanced = graph(seed=5)
    advanced["3"] = {"class_type": "KSamplerAdvanced", "inputs": {
        "add_noise": "enable", "noise_seed": 5, "steps": 3, "cfg": 7.5, "sampler_name": "dpmpp_2m",
        "scheduler": "karras", "start_at_step": 1, "end_at_step": 10000, "return_with_leftover_noise": "disable",
        "model": ["4", 0], "positive": ["10", 0], "negative": ["7", 0], "latent_image": ["5", 0]}}
    advanced["10"] = {"class_type": "ConditioningCombine", "inputs": {"conditioning_1": ["6", 0],
                                                                      "conditioning_2": ["7", 0]}}
    images = {
        "a": {"class_type": "LoadImage", "inputs": {"image": "in.png", "upload": "image"}},
        "b": {"class_type": "ImageScale", "inputs": {"image": ["a", 0], "upscale_method": "bicubic", "width": 24,
                                                     "height": 24, "crop": "center"}},
        "12:5": {"class_type": "ImageInvert", "inputs": {"image": ["b", 0]}},
        "c": {"class_type": "ImageBlend", "inputs": {"image1": ["b", 0], "image2": ["12:5", 0], "blend_factor": 0.25,
                                                     "blend_mode": "screen"}},
        "m": {"class_type": "MaskToImage", "inputs": {"mask": ["a", 1]}},
        "d": {"class_type": "SaveImage", "inputs": {"images": ["c", 0], "filename_prefix": "sub/fuzz"}},
        "e": {"class_type": "PreviewImage", "inputs": {"images": ["m", 0]}},
    }
    return [graph(), advanced, images]


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


VALUES = [None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, -2**63 - 1, 10**30, 1e308, float("nan"),
          float("inf"), 0.1, "", "x", "1", "nan", "é\u0000\ud800", "../../../etc/passwd", "/etc/passwd", "x" * 5000,
          [], {}, [[]], ["4"], ["4", 0, 0], ["4", "0"], ["4", -1], ["4", 99], ["nobody", 0], [4, 0], [None, None],
          {"__value__": [1, 2]}, {"__value__": None}, {"a": {"b": []}}, deep(50), deep(400)]
CLASSES = ["Nobody", "", None, 3, "KSampler", "SaveImage", "CheckpointLoaderSimple", "ksampler", "KSampler\u0000"]


def mutate(source, prompt):
    """One change to `prompt`, in place."""
    key = source.choice(list(prompt))
    about = prompt[key]
    if not isinstance(about, dict) or not isinstance(about.get("inputs"), dict):
        prompt[key] = source.choice(VALUES)
        return
    inputs = about["inputs"]
    change = source.randrange(10)
    if change < 4 and inputs:
        inputs[source.choice(list(inputs))] = source.choice(VALUES)
    elif change == 4 and inputs:
        del inputs[source.choice(list(inputs))]
    elif change == 5 and inputs:  # a cycle as often as not
        inputs[source.choice(list(inputs))] = [source.choice(list(prompt)), source.randrange(3)]
    elif change == 6:
        about["class_type"] = source.choice(CLASSES)
    elif change == 7:
        del about[source.choice(list(about))]
    elif change == 8:
        prompt[source.choice(["", "é", "0" * 300, key + ":1", "-1"])] = prompt.pop(key)
    else:
        prompt[key] = source.choice(VALUES)


def bodies(count):
    source = random.Random(1188)
    for at in range(count):
        prompt = json.loads(json.dumps(source.choice(bases())))
        for _ in range(source.randint(1, 3)):
            if prompt:
                mutate(source, prompt)
        text = json.dumps({"prompt": prompt, "client_id": "fuzz"})
        if at % 10 == 0:  # and broken as text
            cut = source.randrange(len(text))
            text = text[:cut] + source.choice(["", "}", "\0", "[" * 100000, "1e999", '"\\ud800"', "NaN"]) + text[cut
                                                                                                                 + 1:]
        yield text



def is_small(prompt):
    """Whether an accepted prompt is worth running: some ask for hours."""
    for about in prompt.values():
        inputs = about.get("inputs", {})
        for name, most in (("steps", 20), ("width", 64), ("height", 64), ("batch_size", 2)):
            value = inputs.get(name, 0)
            if isinstance(value, (int, float)) and value > most:
                return False
    return True


def picture(server, frames):
    image = next(frame[1] for frame in frames if frame[0] == "executed")["output"]["images"][0]
    return numpy.asarray(Image.open(server.root / image["type"] / image["subfolder"] / image["filename"]))


def forget(server):
    """Models and cached results; waits until the worker has done it."""
    assert server.request("POST", "/free", {"unload_models": True, "free_memory": True})[0] == 200
    run(server, {"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
                 "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}})


def test_a_thousand_fuzzed_prompts(server):
    good = graph(steps=300, seed=3)
    alone = picture(server, run(server, good, "alone")[1])
    forget(server)
    before = server.leases()

    accepted, refused = [], {}
    with server.socket("good") as socket:
        good_id = server.queue(good, "good")
        frames = socket.read_until(lambda frame: frame[0] == "progress")
        for text in bodies(1000):
            status, _, data = server.request("POST", "/prompt", text)
            answer = json.loads(data)
            assert status in (200, 400), (status, text[:500])
            for about in answer["node_errors"].values():
                assert {error["type"] for error in about["errors"]} <= OF_INPUTS and about["class_type"], answer
            if status == 200:
                accepted.append(answer["prompt_id"])
                continue
            assert set(answer["error"]) == {"type", "message", "details", "extra_info"} and answer["error"]["message"]
            assert answer["error"]["type"] in WHOLE, text[:500]
            refused[answer["error"]["type"]] = refused.get(answer["error"]["type"], 0) + 1
        pending = {item[1]: item for item in server.get("/queue")["queue_pending"]}
        small = [key for key, item in pending.items() if is_small(item[2])]
        dropped = set(pending) - set(small[:60])
        assert server.request("POST", "/queue", {"delete": list(dropped)})[0] == 200
        frames += socket.read_prompt(good_id)
    assert "execution_success" in types(frames) and "execution_error" not in types(frames)
    assert numpy.array_equal(picture(server, frames), alone)

    wait_quiet(server)
    assert sum(refused.values()) > 600 and set(refused) >= WHOLE - {"no_prompt", "invalid_prompt_id"}, refused
    ran = set(accepted) - dropped
    assert len(ran) > 30 and ran <= set(server.get("/history"))
    for prompt_id in ran:
        status = server.get(f"/history/{prompt_id}")[prompt_id]["status"]
        assert status["status_str"] in ("success", "error")
        if status["status_str"] == "error":
            kind, about = status["messages"][-1]
            assert kind == "execution_error" and about["exception_message"].strip(), about
    forget(server)
    assert server.leases() == before
    assert "execution_success" in types(run(server, graph(seed=4))[1])


def test_a_disk_that_hangs_holds_up_only_what_it_must(server):
    """Prompts are answered when they are on the disk; everything else is answered meanwhile, beside a picture too."""
    with server.socket("drawer") as socket:
        endless = server.queue(graph(steps=ENDLESS, seed=7), "drawer")
        socket.read_until(lambda frame: frame[0] == "progress")
        disk = sqlite3.connect(next(server.root.glob("user/*.sqlite")), isolation_level=None)
        disk.execute("BEGIN IMMEDIATE")  # nobody else writes
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            posts = [pool.submit(server.queue, graph(seed=50 + at)) for at in range(8)]  # more than there are workers
            for path in ("/system_stats", "/object_info", "/queue", "/prompt", "/api/jobs", "/history") * 3:
                server.get(path)
            with server.socket("late") as late:
                assert late.read()[0] == "status"
            socket.read_until(lambda frame: frame[0] == "progress")
            assert not any(post.done() for post in posts)
            disk.execute("ROLLBACK")
            accepted = {post.result() for post in posts}
        disk.close()
        pending = server.get("/queue")["queue_pending"]
        assert {item[1] for item in pending} == accepted and len(accepted) == 8
        server.cancel_everything()
        assert "execution_interrupted" in types(socket.read_prompt(endless))


def failing(server, prompt):
    """The exception's message of a prompt that is accepted and cannot be done."""
    frames = run(server, prompt, "failing")[1]
    return next(frame[1] for frame in frames if frame[0] == "execution_error")["exception_message"]


def huge_png():
    """A few bytes that say they are a picture of 60000 x 60000."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 6, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


def test_oversized_pictures(server):
    assert server.upload("/upload/image", "huge.png", huge_png())[0] == 200
    shown = {"2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}
    assert failing(server, node("LoadImage", image="huge.png") | shown).strip()
    for query in ("preview=webp;90", "channel=rgb", "channel=a"):  # too large to convert: the file as it is
        assert server.request("GET", f"/view?filename=huge.png&type=input&{query}")[::2] == (200, huge_png()), query
    large = graph(side=16384)
    large["5"]["inputs"]["batch_size"] = 4096
    assert "free" in failing(server, large)  # refused with numbers before anything is taken
    form = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(1 << 40)}
    assert server.request("POST", "/upload/image", b"", form)[0] == 413
    assert "execution_success" in types(run(server, graph(seed=6))[1])


OUTSIDE = ["../secret.png", "..%2Fsecret.png", "%2e%2e%2fsecret.png", "..%5Csecret.png", "%2Fetc%2Fpasswd",
           "a%2F..%2F..%2Fsecret.png", "secret.png%00.png", "%00", "link%2Fsecret.png", "C:%5Csecret.png"]
NO_PATHS = ["%252e%252e%252fsecret.png", "..%c0%afsecret.png"]  # decoded once these are odd names, and nothing more


@pytest.fixture(scope="module")
def secrets(server):
    """Files beside and above every folder of the server, and links that lead to them."""
    secret = server.root.parent / "secret.png"
    for path in (secret, server.root / "secret.png"):
        path.write_text("secret")
    for folder in ("input", "output", "temp", "user"):
        (server.root / folder).mkdir(exist_ok=True)
        (server.root / folder / "link").symlink_to(server.root)
        (server.root / folder / "link.png").symlink_to(secret)
    return lambda: sorted(str(path) for path in server.root.parent.rglob("*") if "link" not in path.name)


@pytest.mark.parametrize("name", OUTSIDE)
def test_paths_that_lead_out(server, secrets, name):
    before = secrets()
    for kind in ("input", "output", "temp"):
        for query in (f"filename={name}", f"filename=secret.png&subfolder={name.rpartition('secret')[0] or name}"):
            status, _, body = server.request("GET", f"/view?type={kind}&{query}")
            assert status in (400, 403, 404) and b"secret" not in body, query
    for method in ("GET", "POST", "DELETE"):
        path = f"/userdata/{name.replace('/', '%2F')}"
        status, _, body = server.request(method, path, b"x" if method == "POST" else None)
        assert status in (400, 403, 404) and b"secret" not in body, method
    moved = f"/userdata/comfy.settings.json/move/{name.replace('/', '%2F')}"
    assert server.request("POST", moved)[0] in (400, 403, 404)
    assert server.request("GET", f"/userdata?dir={name}")[0] in (400, 403, 404)
    assert server.request("GET", f"/view_metadata/checkpoints?filename={name}")[0] in (400, 403, 404)
    assert server.request("GET", f"/experiment/models/preview/checkpoints/0/{name}")[0] in (400, 403, 404)
    assert secrets() == before


@pytest.mark.parametrize("name", NO_PATHS)
def test_names_that_only_look_like_paths(server, secrets, name):
    before = secrets()
    for kind in ("input", "output", "temp"):
        status, _, body = server.request("GET", f"/view?type={kind}&filename={name}")
        assert status in (400, 404) and body == b""
    assert server.request("POST", f"/userdata/{name}", b"x")[0] == 200
    assert [path for path in secrets() if path not in before] != [] and server.root.joinpath("user").is_dir()
    assert all(path.startswith(str(server.root / "user")) for path in secrets() if path not in before)
    assert server.request("GET", "/v2/userdata")[0] == 200  # lists it, whatever its bytes are
    assert server.request("DELETE", f"/userdata/{name}")[0] == 204 and secrets() == before


@pytest.mark.parametrize("name, fields", [
    ("../x.png", {}), ("/tmp/x.png", {}), ("..\\x.png", {}), ("a/../../x.png", {}), ("x\0.png", {}),
    ("link.png", {"overwrite": "true"}), ("x.png", {"subfolder": ".."}), ("x.png", {"subfolder": "/tmp"}),
    ("x.png", {"subfolder": "link"}), ("x.png", {"subfolder": "a/../../.."}), ("x.png", {"subfolder": "a\0b"})])
def test_uploads_that_lead_out(server, secrets, name, fields):
    before = secrets()
    assert server.upload("/upload/image", name, b"x", **fields)[0] == 400
    assert secrets() == before and (server.root.parent / "secret.png").read_text() == "secret"


@pytest.mark.parametrize("image", ["../secret.png", "/etc/passwd", "secret.png [..]", "link.png", "link/secret.png",
                                   "x\0.png", "", "../in.png [output]"])
def test_graphs_that_read_outside(server, secrets, image):
    shown = {"2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}
    status, answer = server.post("/prompt", {"prompt": node("LoadImage", image=image) | shown})
    assert status == 400 and answer["node_errors"]["1"]["errors"][0]["type"] == "custom_validation_failed", answer
    checkpoint = graph()
    checkpoint["4"]["inputs"]["ckpt_name"] = "../checkpoints/" + CHECKPOINT
    answer = server.post("/prompt", {"prompt": checkpoint})[1]
    assert answer["node_errors"]["4"]["errors"][0]["type"] == "value_not_in_list"


@pytest.mark.parametrize("prefix", ["../x", "/tmp/hearth-x", "a/../../x", "link/x"])
def test_graphs_that_write_outside(server, secrets, prefix):
    before = secrets()
    made = {"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}}}
    assert "outside the output folder" in failing(server, made)
    assert secrets() == before
