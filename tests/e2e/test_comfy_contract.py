"""What ComfyUI's frontend needs of a server, as a list of one test a line, against `hearth serve` with a real model:
load the page, edit a graph, queue and watch, show the picture."""
import io
import json
import uuid

import pytest
from PIL import Image

from comfy_client import MODERN, node, run, types
from comfy_process import CHECKPOINT, ENDLESS, ComfyHearth, graph

DEFAULT_CLASSES = ("CheckpointLoaderSimple", "CLIPTextEncode", "EmptyLatentImage", "KSampler", "VAEDecode", "SaveImage")
SITE = {"index.html": "<html>front</html>", "assets/app.js": "1", "assets/style.css": "a{}", "assets/font.woff2": "w",
        "assets/en.json": "{}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("contract")
    for name, text in SITE.items():
        (root / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "site" / name).write_text(text)
    with ComfyHearth(root, f'frontend = "{root / "site"}"') as running:
        yield running


@pytest.fixture(scope="module")
def drawn(server):
    """One picture of the default workflow as the frontend queues it: its prompt's id and every frame."""
    extra = {"extra_pnginfo": {"workflow": {"id": "flow-1", "nodes": []}}}
    return run(server, graph(steps=3), "front", MODERN, extra_data=extra)


def png(colour=(10, 20, 30, 64), size=(4, 4)):
    out = io.BytesIO()
    Image.new("RGBA", size, colour).save(out, "PNG")
    return out.getvalue()


# ---- Load the page ----

def test_static_bundle(server):
    status, headers, body = server.request("GET", "/")
    assert (status, body.decode()) == (200, SITE["index.html"])
    assert "no-store" in headers["cache-control"] and headers["content-type"].startswith("text/html")
    for name, kind in (("app.js", "text/javascript"), ("style.css", "text/css"), ("font.woff2", "font/woff2"),
                       ("en.json", "application/json")):
        status, headers, body = server.request("GET", f"/assets/{name}")
        assert (status, body.decode()) == (200, SITE[f"assets/{name}"])
        assert headers["content-type"].startswith(kind), name
    assert server.request("GET", "/user.css")[0] in (200, 404)


def test_features(server):
    features = server.get("/api/features")
    assert features["supports_preview_metadata"] is True and features["assets"] is False
    assert features["max_upload_size"] == 100 << 20
    assert "supports_progress_text_metadata" not in features


def test_users(server):
    assert server.get("/api/users") == {"storage": "server", "migrated": True}


def test_settings(server):
    before = server.get("/api/settings")
    assert isinstance(before, dict)
    assert server.request("POST", "/api/settings", {"Comfy.A": 1, "Comfy.B": [1]})[0] == 200
    assert server.request("POST", "/api/settings/Comfy.B", '"x"')[0] == 200
    assert server.get("/api/settings") == {**before, "Comfy.A": 1, "Comfy.B": "x"}
    stored = json.loads(next(server.root.glob("user/**/comfy.settings.json")).read_text())
    assert stored["Comfy.B"] == "x"


def test_i18n_extensions_subgraphs_and_replacements(server):
    assert server.get("/api/extensions") == []
    for path in ("i18n", "global_subgraphs", "node_replacements"):
        assert server.get(f"/api/{path}") == {}, path


def test_userdata_list_of_workflows(server):
    listed = server.get("/api/userdata?dir=workflows&recurse=true&split=false&full_info=true")
    assert isinstance(listed, list)


# ---- Edit a graph ----

def test_object_info(server):
    info = server.get("/api/object_info")
    assert set(DEFAULT_CLASSES) <= set(info)
    for name, about in info.items():
        assert about["name"] == name and about["display_name"] and isinstance(about["python_module"], str), name
        assert {"input", "input_order", "output", "output_is_list", "output_name", "description", "category",
                "output_node"} <= set(about), name
        assert len(about["output"]) == len(about["output_is_list"]) == len(about["output_name"]), name
        for group, inputs in about["input"].items():
            assert about["input_order"][group] == list(inputs), name
            for key, spec in inputs.items():
                is_type = isinstance(spec, str) or isinstance(spec[0], (str, list))
                assert is_type and (group == "hidden" or len(spec) == 1 or isinstance(spec[1], dict)), (name, key)
        assert server.get(f"/api/object_info/{name}") == {name: about}
    sampler = info["KSampler"]["input"]["required"]
    assert sampler["seed"][1]["max"] == 18446744073709551615 and sampler["sampler_name"][0][0] == "euler"
    assert info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0] == [CHECKPOINT, "sprite.safetensors"]


def test_userdata_with_encoded_slashes_and_embeddings(server):
    path = "/api/userdata/workflows%2Fmine.json"
    assert json.loads(server.request("POST", path + "?overwrite=false&full_info=true", b"{}")[2])["size"] == 2
    assert server.request("POST", path + "?overwrite=false", b"x")[0] == 409
    assert server.request("GET", path)[::2] == (200, b"{}")
    moved = server.request("POST", path + "/move/workflows%2Fdeeper%2Fyours.json?overwrite=false")
    assert (moved[0], json.loads(moved[2])) == (200, "workflows/deeper/yours.json")
    listed = server.get("/api/userdata?dir=workflows&recurse=true&split=false&full_info=true")
    assert [entry["path"] for entry in listed] == ["deeper/yours.json"]
    assert server.request("DELETE", "/api/userdata/workflows%2Fdeeper%2Fyours.json")[0] == 204
    assert server.get("/api/embeddings") == []


def test_uploads_of_images_and_masks_and_viewing_them(server):
    status, _, body = server.upload("/api/upload/image", "look.png", png(), subfolder="pasted", type="input")
    assert (status, json.loads(body)) == (200, {"name": "look.png", "subfolder": "pasted", "type": "input"})
    seen = server.request("GET", "/api/view?filename=look.png&subfolder=pasted&type=input&rand=0.1")
    assert seen[::2] == (200, png())
    reference = json.dumps({"filename": "look.png", "subfolder": "pasted", "type": "input"})
    status, _, body = server.upload("/api/upload/mask", "mask.png", png((0, 0, 0, 200)), original_ref=reference)
    assert status == 200
    masked = Image.open(io.BytesIO(server.view(filename=json.loads(body)["name"], type="input")[2]))
    assert masked.getpixel((0, 0)) == (10, 20, 30, 200)


def test_system_stats_models_and_templates(server):
    stats = server.get("/api/system_stats")
    for key in ("os", "python_version", "comfyui_version", "pytorch_version"):
        assert isinstance(stats["system"][key], str), key
    assert stats["system"]["embedded_python"] is False and isinstance(stats["system"]["argv"], list)
    device, budget = stats["devices"][0], stats["devices"][0]["budget"]
    assert 0 < device["vram_free"] <= device["vram_total"] == stats["system"]["ram_total"]
    assert (device["device_type"], device["memory_kind"]) == ("cpu", "host") and budget["leased"] <= budget["limit"]
    assert "checkpoints" in [entry["name"] for entry in server.get("/api/experiment/models")]
    model = server.get("/api/experiment/models/checkpoints")[0]
    assert (model["name"], model["pathIndex"]) == (CHECKPOINT, 0)
    assert server.get("/templates/index.json") == []


# ---- Queue and watch ----

def test_messages_come_in_order(server, drawn):
    prompt_id, frames = drawn
    assert frames[0][0] == "status" and frames[0][1]["sid"] == "front"
    assert frames[1] == ("feature_flags", server.get("/api/features"))
    assert all("sid" not in frame[1] for frame in frames[1:] if frame[0] == "status")
    kinds = types(frames[2:])
    assert kinds[:4] == ["status", "status", "execution_start", "execution_cached"]
    ran = [frame[1]["node"] for frame in frames if frame[0] == "executing"]
    assert sorted(ran[:-1]) == sorted(graph()) and ran[-1] is None and ran.index("3") < ran.index("8") < ran.index("9")
    at = kinds.index("progress") - 4  # of the sampler, the only node with steps
    assert kinds[at:at + 12] == ["progress_state", "executing", *["progress_state", 4, "progress"] * 3,
                                 "progress_state"]
    assert kinds[-6:] == ["executing", "executed", "progress_state", "execution_success", "status", "executing"]
    assert frames[-2][1]["status"]["exec_info"]["queue_remaining"] == 0
    assert frames[-1][1] == {"node": None, "prompt_id": prompt_id}
    again_id, again = run(server, graph(steps=3), "again", MODERN)
    cached = next(frame[1] for frame in again if frame[0] == "execution_cached")
    assert sorted(cached["nodes"]) == sorted(graph()) and cached["prompt_id"] == again_id
    assert types(again)[-5:] == ["executed", "progress_state", "execution_success", "status", "executing"]


BROKEN = {
    "required_input_missing": lambda g: g["3"]["inputs"].pop("steps"),
    "bad_linked_input": lambda g: g["3"]["inputs"].update(model=["4"]),
    "return_type_mismatch": lambda g: g["3"]["inputs"].update(model=["4", 1]),
    "invalid_input_type": lambda g: g["3"]["inputs"].update(steps="many"),
    "value_smaller_than_min": lambda g: g["3"]["inputs"].update(steps=0),
    "value_bigger_than_max": lambda g: g["3"]["inputs"].update(cfg=101),
    "value_not_in_list": lambda g: g["3"]["inputs"].update(sampler_name="nobody"),
    "dependency_cycle": lambda g: g["3"]["inputs"].update(latent_image=["3", 0]),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_refused_inputs(server, kind):
    broken = graph()
    BROKEN[kind](broken)
    status, answer = server.post("/api/prompt", {"prompt": broken, "client_id": "front"})
    assert status == 400 and set(answer["error"]) == {"type", "message", "details", "extra_info"}
    assert answer["error"]["type"] == "prompt_outputs_failed_validation"
    about = answer["node_errors"]["3"]
    assert (about["class_type"], about["dependent_outputs"]) == ("KSampler", ["9"])
    error, = about["errors"]
    assert error["type"] == kind and set(error) == {"type", "message", "details", "extra_info"}


def test_prompts_accepted_and_refused_whole(server):
    def refused(**body):
        status, answer = server.post("/api/prompt", body)
        assert status == 400 and answer["node_errors"] == {}, answer
        return answer["error"]["type"]

    assert refused() == "no_prompt"
    assert refused(prompt={}) == "prompt_no_outputs"
    assert refused(prompt=graph(), prompt_id="x") == "invalid_prompt_id"
    assert refused(prompt=node("Nobody")) == refused(prompt={"1": {"inputs": {}}}) == "missing_node_type"
    image = node("LoadImage", image="none.png") | {"2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}
    error = server.post("/api/prompt", {"prompt": image})[1]["node_errors"]["1"]["errors"][0]
    assert (error["type"], error["details"]) == ("custom_validation_failed",
                                                 "image - Invalid image file: none.png")
    half = graph(seed=4) | {"20": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}}
    given = str(uuid.uuid4())
    status, answer = server.post("/api/prompt", {"prompt": half, "prompt_id": given, "number": -3.5})
    assert status == 200 and (answer["prompt_id"], answer["number"]) == (given, -3.5)
    assert answer["node_errors"]["20"]["errors"][0]["type"] == "required_input_missing"
    server.cancel_everything()
    assert server.get("/api/prompt") == {"exec_info": {"queue_remaining": 0}}


def test_jobs_and_cancelling_and_the_older_routes(server, drawn):
    listed = server.get("/api/jobs?status=completed,failed,cancelled&limit=64&offset=0")
    assert listed["pagination"]["limit"] == 64
    for job in listed["jobs"]:
        assert isinstance(job["id"], str) and isinstance(job["create_time"], int) and None not in job.values()
    mine, = server.get("/api/jobs?workflow_id=flow-1")["jobs"]
    assert mine["id"] == drawn[0] and mine["preview_output"]["nodeId"] == "9"
    assert mine["preview_output"]["mediaType"] == "images" and mine["outputs_count"] == 1
    detail = server.get(f"/api/jobs/{drawn[0]}")
    assert detail["workflow"]["prompt"] == graph(steps=3) and detail["execution_status"]["completed"] is True

    with server.socket("owner") as socket:
        running = server.queue(graph(steps=ENDLESS), "owner")
        waiting = [server.queue(graph(seed=seed)) for seed in (11, 12, 13)]
        socket.read_until(lambda frame: frame[0] == "progress")
        active = server.get("/api/jobs?status=in_progress,pending&limit=200&offset=0")["jobs"]
        assert {job["id"]: job["status"] for job in active} == {running: "in_progress",
                                                               **dict.fromkeys(waiting, "pending")}
        queue = server.get("/api/queue")
        assert [item[1] for item in queue["queue_running"]] == [running]
        assert {item[1] for item in queue["queue_pending"]} == set(waiting)
        assert server.request("POST", "/api/queue", {"delete": waiting[:1]})[0] == 200
        assert server.post("/api/jobs/cancel", {"job_ids": waiting[1:2]}) == (200, {"cancelled": True})
        assert server.post(f"/api/jobs/{waiting[2]}/cancel", {}) == (200, {"cancelled": True})
        assert server.request("POST", "/api/interrupt", {"prompt_id": waiting[0]})[0] == 200  # not the running one
        assert server.get("/api/prompt") == {"exec_info": {"queue_remaining": 1}}
        assert server.request("POST", "/api/interrupt", {"prompt_id": running})[0] == 200
        assert "execution_interrupted" in types(socket.read_prompt(running))
    assert server.get(f"/api/jobs/{running}")["status"] == "cancelled"
    history = server.get("/api/history")
    assert running in history and not set(waiting) & set(history)
    assert server.request("POST", "/api/history", {"delete": [running]})[0] == 200
    assert server.get(f"/api/history/{running}") == {}
    assert server.request("POST", "/api/free", {"unload_models": True, "free_memory": True})[0] == 200


def test_progress_and_previews(server, drawn):
    frames = drawn[1]
    assert [(frame[1]["value"], frame[1]["max"], frame[1]["node"]) for frame in frames if frame[0] == "progress"] == [
        (1, 3, "3"), (2, 3, "3"), (3, 3, "3")]
    last = [frame[1]["nodes"] for frame in frames if frame[0] == "progress_state"][-1]
    assert set(last) == set(graph()) and all(about["state"] == "finished" for about in last.values())
    previews = [frame for frame in frames if frame[0] == 4]
    assert len(previews) == 3 and previews[0][1]["node_id"] == "3" and previews[0][1]["prompt_id"] == drawn[0]
    assert Image.open(io.BytesIO(previews[0][2])).format == "JPEG"
    asked = run(server, graph(seed=21), "plain", extra_data={"preview_method": "latent2rgb"})[1]
    assert [frame[1] for frame in asked if frame[0] == 1] == [1, 1] and 4 not in types(asked)
    silent = run(server, graph(seed=22), "silent", MODERN, extra_data={"preview_method": "none"})[1]
    assert 4 not in types(silent)


# ---- Show the image ----

def image_of(drawn):
    return next(frame[1] for frame in drawn[1] if frame[0] == "executed")["output"]["images"][0]


def test_executed_output_and_its_view(server, drawn):
    image = image_of(drawn)
    assert set(image) == {"filename", "subfolder", "type"} and image["type"] == "output"
    status, headers, whole = server.view(**image)
    assert status == 200 and headers["content-type"] == "image/png" and headers["accept-ranges"] == "bytes"
    path = f"/api/view?filename={image['filename']}&subfolder=&type=output"
    assert server.request("GET", path, headers={"If-None-Match": headers["etag"]})[0] == 304
    part = server.request("GET", path, headers={"Range": "bytes=1-3"})
    assert part[::2] == (206, b"PNG") and part[1]["content-range"] == f"bytes 1-3/{len(whole)}"
    status, headers, small = server.request("GET", path + "&preview=webp;90&rand=0.5")
    assert status == 200 and headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(small)).size == Image.open(io.BytesIO(whole)).size


def test_picture_tells_its_workflow_and_history_its_outputs(server, drawn):
    prompt_id, image = drawn[0], image_of(drawn)
    picture = Image.open(io.BytesIO(server.view(**image)[2]))
    assert json.loads(picture.text["prompt"]) == graph(steps=3)
    assert json.loads(picture.text["workflow"]) == {"id": "flow-1", "nodes": []}
    entry = server.get(f"/api/history/{prompt_id}")[prompt_id]
    assert entry["outputs"] == {"9": {"images": [image]}}
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("success", True)
    assert [message[0] for message in entry["status"]["messages"]] == ["execution_start", "execution_cached",
                                                                      "execution_success"]
    number, queued_id, prompt, extra, outputs = entry["prompt"]
    assert queued_id == prompt_id and prompt == graph(steps=3) and outputs == ["9"]
    assert extra["client_id"] == "front" and isinstance(extra["create_time"], int)
