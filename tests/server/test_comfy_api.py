"""ComfyUI's API over a scripted backend: what its frontend and other clients ask for, in the shapes they check."""
import io
import json
import time
import urllib.request
import uuid

import pytest
from PIL import Image

from comfy_client import MODERN, node, run, types, wait_quiet
from fake_comfy import DEFAULT, FakeComfy


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = FakeComfy(tmp_path_factory.mktemp("comfy"))
    yield running
    assert running.stop() == 0


# ---- Load the page ----

def test_what_the_frontend_asks_for_first(server):
    assert isinstance(server.get("/api/features"), dict)
    assert server.get("/api/features")["assets"] is False
    assert server.get("/api/users") == {"storage": "server", "migrated": True}
    assert server.get("/api/i18n") == {} and server.get("/api/global_subgraphs") == {}
    assert server.get("/api/extensions") == [] and server.get("/api/node_replacements") == {}
    assert server.get("/api/workflow_templates") == {} and server.get("/workflow_templates") == {}
    assert server.request("GET", "/api/userdata?dir=workflows&recurse=true&split=false&full_info=true")[0] in (200, 404)
    assert server.request("GET", "/api/nothing")[::2] == (404, b"404: Not Found")
    assert server.request("PUT", "/api/prompt")[0] == 405


def test_settings_persist(server):
    plain = {"Content-Type": "text/plain"}
    assert server.request("POST", "/api/settings", '{"Comfy.A": 1, "Comfy.B": [1]}', plain)[0] == 200
    assert server.request("POST", "/settings/Comfy.B", '"x"')[0] == 200
    assert server.get("/settings") == {"Comfy.A": 1, "Comfy.B": "x"}
    assert server.get("/api/settings/Comfy.A") == 1 and server.get("/api/settings/none") is None
    assert server.request("POST", "/settings", "not json")[0] == 400


# ---- Edit a graph ----

def test_object_info(server):
    info = server.get("/api/object_info")
    for name in ("CheckpointLoaderSimple", "CLIPTextEncode", "EmptyLatentImage", "KSampler", "VAEDecode", "SaveImage"):
        for key in ("input", "input_order", "output", "output_is_list", "output_name", "name", "display_name",
                    "description", "category", "python_module", "output_node"):
            assert key in info[name], (name, key)
    assert info["KSampler"]["input"]["required"]["seed"][1]["max"] == 18446744073709551615
    assert server.get("/object_info/KSampler") == {"KSampler": info["KSampler"]}
    assert server.get("/object_info/Nobody") == {}


def test_system_stats_have_true_numbers(server):
    stats = server.get("/api/system_stats")
    for key in ("os", "python_version", "embedded_python", "comfyui_version", "pytorch_version", "argv", "ram_total",
                "ram_free"):
        assert key in stats["system"], key
    device = stats["devices"][0]
    assert device["vram_total"] == 16 << 30 and device["vram_free"] == 10 << 30
    assert device["device_type"] == "cpu" and device["memory_kind"] == "host" and device["budget"]["limit"] == 12 << 30


# ---- Queue and watch ----

def test_the_order_of_messages(server):
    prompt_id, frames = run(server, DEFAULT, flags=MODERN)
    assert frames[0][0] == "status" and frames[0][1]["sid"] == "runner"
    assert frames[1] == ("feature_flags", server.get("/features"))
    assert all("sid" not in frame[1] for frame in frames[1:] if frame[0] == "status")
    told = [frame for frame in frames[2:]]
    kinds = types(told)
    assert kinds[:4] == ["status", "status", "execution_start", "execution_cached"]
    assert [frame[1]["status"]["exec_info"]["queue_remaining"] for frame in told[:2]] == [1, 1]
    assert told[3][1]["nodes"] == [] and isinstance(told[2][1]["timestamp"], int)
    sampler = kinds.index(4) - 3
    assert kinds[sampler:sampler + 12] == ["progress_state", "executing", *["progress_state", 4, "progress"] * 3,
                                           "progress_state"]
    assert [frame[1]["value"] for frame in told if frame[0] == "progress"] == [1, 2, 3]
    executed = [frame[1] for frame in told if frame[0] == "executed"]
    assert executed[0]["node"] == "9" and executed[0]["output"]["images"][0]["type"] == "output"
    assert kinds[-4:] == ["progress_state", "execution_success", "status", "executing"]
    assert told[-2][1]["status"]["exec_info"]["queue_remaining"] == 0
    assert told[-1][1] == {"node": None, "prompt_id": prompt_id}


def test_previews_by_what_the_client_takes(server):
    _, modern = run(server, DEFAULT, flags=MODERN)
    previews = [frame for frame in modern if frame[0] == 4]
    assert len(previews) == 3 and not any(frame[0] == 1 for frame in modern)
    assert previews[0][1]["node_id"] == "3" and previews[0][1]["image_type"] == "image/jpeg"
    assert Image.open(io.BytesIO(previews[0][2])).size == (16, 16)
    _, asked = run(server, DEFAULT, extra_data={"preview_method": "auto"})
    assert len([frame for frame in asked if frame[0] == 1 and frame[1] == 1]) == 3
    assert not any(frame[0] == 4 for frame in asked)
    _, plain = run(server, DEFAULT)  # takes every binary frame for a result
    assert all(isinstance(frame[0], str) for frame in plain)


def test_a_script_with_urllib(server):
    """What the example scripts do: a form's content type, and history after the last message."""
    socket = server.socket("script")
    body = json.dumps({"prompt": DEFAULT, "client_id": "script"}).encode()
    answer = json.loads(urllib.request.urlopen(urllib.request.Request(server.url + "/prompt", data=body)).read())
    socket.read_prompt(answer["prompt_id"])
    entry = server.get("/history/" + answer["prompt_id"])[answer["prompt_id"]]
    image = entry["outputs"]["9"]["images"][0]
    status, headers, data = server.view(**image)
    assert status == 200 and headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(data))
    assert json.loads(picture.text["prompt"])["3"]["inputs"]["seed"] == 18446744073709551615
    assert entry["status"]["status_str"] == "success" and entry["status"]["completed"] is True
    assert [message[0] for message in entry["status"]["messages"]] == [
        "execution_start", "execution_cached", "execution_success"]
    assert entry["prompt"][1] == answer["prompt_id"] and entry["prompt"][4] == ["9"]
    assert entry["meta"]["9"]["real_node_id"] == "9"
    socket.close()


def test_refused_prompts(server):
    def error(body):
        status, answer = server.post("/api/prompt", body)
        assert status == 400 and set(answer["error"]) == {"type", "message", "details", "extra_info"}
        return answer

    assert error({})["error"]["type"] == "no_prompt"
    assert error({"prompt": {}})["error"]["type"] == "prompt_no_outputs"
    missing = error({"prompt": node("Nobody")})["error"]
    assert missing["type"] == "missing_node_type" and missing["extra_info"]["class_type"] == "Nobody"
    assert error({"prompt": DEFAULT, "prompt_id": "x"})["error"]["type"] == "invalid_prompt_id"
    wrong = json.loads(json.dumps(DEFAULT))
    wrong["3"]["inputs"]["steps"] = 0
    answer = error({"prompt": wrong})
    assert answer["error"]["type"] == "prompt_outputs_failed_validation"
    assert answer["node_errors"]["3"]["errors"][0]["type"] == "value_smaller_than_min"
    status, _, body = server.request("POST", "/prompt", b"{broken")
    assert status == 400 and json.loads(body)["error"]["type"] == "invalid_json"


def test_ids_numbers_and_extra_data(server):
    blocker = server.queue(node("Wait"))
    given = str(uuid.uuid4())
    status, answer = server.post("/prompt", {"prompt": node("SaveImage"), "prompt_id": given, "number": 7.5,
                                             "extra_data": {"api_key_comfy_org": "hush", "mine": 1}})
    assert (status, answer["prompt_id"], answer["number"]) == (200, given, 7.5)
    assert server.post("/prompt", {"prompt": node("SaveImage"), "prompt_id": given})[0] == 400
    first = server.post("/prompt", {"prompt": node("SaveImage"), "front": True})[1]
    assert first["number"] < 0
    queue = server.get("/queue")
    assert [item[1] for item in queue["queue_running"]] == [blocker]
    assert [item[1] for item in queue["queue_pending"]] == [first["prompt_id"], given]
    extra = queue["queue_pending"][1][3]
    assert extra["mine"] == 1 and isinstance(extra["create_time"], int) and "hush" not in json.dumps(queue)
    assert server.get("/prompt") == {"exec_info": {"queue_remaining": 3}}
    assert server.request("POST", "/queue", '{"clear": true}', {"Content-Type": "text/plain"})[0] == 200
    assert server.get("/queue")["queue_pending"] == []
    assert server.request("POST", "/interrupt", "")[0] == 200
    wait_quiet(server)


def test_interrupt_delete_and_cancel(server):
    socket = server.socket("stopper")
    running, waiting = server.queue(node("Wait"), "stopper"), server.queue(node("SaveImage"))
    socket.read_until(lambda frame: frame[0] == "executing")
    assert server.request("POST", "/interrupt", {"prompt_id": waiting})[0] == 200
    assert server.get("/queue")["queue_running"][0][1] == running
    assert server.post("/queue", {"delete": [waiting, "nobody"]})[0] == 200
    assert server.get("/queue")["queue_pending"] == []
    assert server.post(f"/api/jobs/{waiting}/cancel", {}) == (200, {"cancelled": False})
    assert server.post(f"/api/jobs/{running}/cancel", {}) == (200, {"cancelled": True})
    frames = socket.read_prompt(running)
    assert "execution_interrupted" in types(frames)
    entry = server.get(f"/history/{running}")[running]
    assert entry["status"]["status_str"] == "error" and entry["status"]["messages"][-1][0] == "execution_interrupted"
    assert server.get(f"/api/jobs/{running}")["status"] == "cancelled"
    first = server.queue(node("Wait"), "stopper")
    assert server.post("/api/jobs/cancel", {"job_ids": [first, str(uuid.uuid4())]}) == (200, {"cancelled": True})
    socket.read_prompt(first)
    assert server.post("/api/jobs/cancel", {"job_ids": ["x"]}) == (400, {"error": "job_ids must be UUIDs",
                                                                          "invalid_ids": ["x"]})
    assert server.post("/api/jobs/cancel", {"job_ids": 3})[0] == 400
    socket.close()


def test_errors_reach_owner_history_and_jobs(server):
    prompt_id, frames = run(server, node("Fail"))
    error = next(frame[1] for frame in frames if frame[0] == "execution_error")
    assert (error["node_id"], error["exception_type"], error["prompt_id"]) == ("1", "ValueError", prompt_id)
    job = server.get(f"/api/jobs/{prompt_id}")
    assert job["status"] == "failed" and job["execution_error"]["exception_message"] == "scripted failure\n"
    thrown, frames = run(server, node("Throw"))
    assert "execution_error" in types(frames)
    assert server.get(f"/history/{thrown}")[thrown]["status"]["completed"] is False


def test_jobs_pass_the_frontends_checks(server):
    run(server, DEFAULT, extra_data={"extra_pnginfo": {"workflow": {"id": "flow-1"}}})
    listed = server.get("/api/jobs?status=completed,failed,cancelled&limit=64&offset=0")
    assert listed["pagination"]["limit"] == 64 and isinstance(listed["pagination"]["total"], int)
    for job in listed["jobs"]:
        assert isinstance(job["id"], str) and isinstance(job["create_time"], int)
        if "preview_output" in job:
            assert isinstance(job["preview_output"]["nodeId"], str) and job["preview_output"]["mediaType"] == "images"
        if "execution_error" in job:
            assert isinstance(job["execution_error"]["traceback"], list)
        assert None not in job.values()
    mine = server.get("/api/jobs?workflow_id=flow-1")["jobs"]
    assert len(mine) == 1 and mine[0]["outputs_count"] == 1
    detail = server.get("/api/jobs/" + mine[0]["id"])
    assert detail["workflow"]["prompt"] == DEFAULT and detail["outputs"]["9"]["images"]
    assert detail["execution_status"]["completed"] is True
    assert server.request("GET", "/api/jobs/none")[::2] == (404, b'{"error":"Job not found"}')
    assert server.request("GET", "/jobs")[0] == 404
    for query in ("status=sleeping", "sort_by=x", "sort_order=x", "limit=0", "limit=x", "offset=x"):
        status, _, data = server.request("GET", "/api/jobs?" + query)
        assert status == 400 and isinstance(json.loads(data)["error"], str), query
    assert server.get("/api/jobs?offset=-5&limit=1")["pagination"]["offset"] == 0


def test_history_pages_and_deletes(server):
    ids = [run(server, node("SaveImage"))[0] for _ in range(3)]
    everything = list(server.get("/history"))
    assert everything[-3:] == ids
    assert list(server.get("/history?max_items=2")) == ids[1:]
    assert list(server.get("/history?max_items=1&offset=0")) == everything[:1]
    assert server.request("GET", "/history?max_items=x")[0] == 400
    assert server.get("/history/none") == {}
    assert server.request("POST", "/history", '{"delete": ["%s"]}' % ids[0], {"Content-Type": "text/plain"})[0] == 200
    assert ids[0] not in server.get("/history") and ids[1] in server.get("/history")


def test_free_answers_at_once(server):
    assert server.request("POST", "/free", {"unload_models": True, "free_memory": True})[0] == 200


def test_a_client_that_comes_back(server):
    socket = server.socket("returning")
    running = server.queue(node("Wait"), "returning")
    socket.read_until(lambda frame: frame[0] == "executing")
    again = server.socket("returning")
    assert again.read()[1]["sid"] == "returning"
    assert again.read() == ("executing", {"node": "1"})
    assert server.request("POST", "/interrupt", {"prompt_id": running})[0] == 200
    assert "execution_interrupted" in types(again.read_prompt(running))
    socket.close()
    again.close()


def test_sockets_without_a_name_and_strange_words(server):
    socket = server.socket()
    assert len(socket.read()[1]["sid"]) == 32
    socket.connection.send("not json at all")
    socket.connection.send_binary(b"\0\1\2")
    socket.connection.send(json.dumps({"type": "feature_flags", "data": MODERN}))
    other = server.socket("api", path="/api/ws")
    assert other.read()[1]["sid"] == "api"
    prompt_id = server.queue(node("SaveImage"))
    status = socket.read()
    assert status[0] == "status" and server.is_alive(), prompt_id
    socket.close()
    other.close()


def test_silent_sockets_get_a_status(server):
    socket = server.socket("silent")
    socket.read()
    begun = time.monotonic()
    assert socket.read()[0] == "status"
    assert time.monotonic() - begun < 8
    socket.close()


def test_internal_routes(server):
    socket = server.socket("terminal")
    socket.read()
    assert server.request("PATCH", "/internal/logs/subscribe", {"clientId": "terminal", "enabled": True})[0] == 200
    server.queue(node("SaveImage"))
    logs = (frame[1]["entries"] for frame in iter(socket.read, None) if frame[0] == "logs")
    assert any(entry["m"] == "got prompt\n" for entries in logs for entry in entries)
    socket.close()
    assert "got prompt" in server.get("/internal/logs")
    raw = server.get("/internal/logs/raw")
    assert raw["entries"] and set(raw["size"]) == {"cols", "rows"}
    assert "checkpoints" in server.get("/internal/folder_paths")
    assert isinstance(server.get("/internal/files/output"), list)
    status, _, data = server.request("GET", "/internal/files/root")
    assert (status, json.loads(data)) == (400, {"error": "Invalid directory type"})
    assert server.request("GET", "/api/internal/logs")[0] == 404


def test_foreign_pages_are_refused(server):
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        assert server.request("GET", "/api/queue", headers=headers)[0] == 403, headers
    assert server.request("GET", "/api/queue", headers={"Origin": server.url})[0] == 200
