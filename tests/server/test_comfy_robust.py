"""ComfyUI's API against slow clients, broken prompts, kill -9 and prompts that take the server down."""
import http.client
import json
import random
import time

import pytest
from PIL import Image

from comfy_client import node, run, types, wait_quiet
from fake_comfy import DEFAULT, FakeComfy


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = FakeComfy(tmp_path_factory.mktemp("comfy"))
    yield running
    assert running.stop() == 0


def test_a_client_that_does_not_read_costs_no_one_else(tmp_path):
    server = FakeComfy(tmp_path, "--max-unsent", 1 << 20)
    slow = server.socket("slow")  # never reads
    busy = json.loads(json.dumps(DEFAULT))
    busy["3"]["inputs"]["steps"] = 10000
    server.queue(busy, "slow")
    quick_id, frames = run(server, DEFAULT, "quick")
    assert "execution_success" in types(frames) and quick_id in server.get("/history")
    assert server.is_alive()
    slow.close()
    assert server.stop() == 0


def test_a_thousand_fuzzed_prompts(server):
    source = random.Random(188)
    base = json.dumps({"prompt": DEFAULT, "client_id": "fuzz", "extra_data": {"extra_pnginfo": {}}, "number": 1})
    words = ['null', '[]', '{}', '"x"', '-1', '1e999', '18446744073709551616', 'true', '["4",0]', '"\\ud800"', '[[[[']
    statuses = {}
    for _ in range(1000):
        text = bytearray(base.encode())
        for _ in range(source.randint(1, 6)):
            at = source.randrange(len(text))
            kind = source.randrange(4)
            if kind == 0:
                text[at] = source.randrange(256)
            elif kind == 1:
                del text[at:at + source.randrange(20)]
            elif kind == 2:
                text[at:at] = source.choice(words).encode()
            else:
                end = min(len(text), at + source.randrange(30))
                text[at:at] = text[at:end]
        status, _, data = server.request("POST", "/prompt", bytes(text))
        answer = json.loads(data)
        assert status in (200, 400), (status, bytes(text))
        if status == 400:
            assert set(answer["error"]) == {"type", "message", "details", "extra_info"}, bytes(text)
            assert isinstance(answer["error"]["type"], str) and isinstance(answer["node_errors"], dict)
        statuses[status] = statuses.get(status, 0) + 1
    assert statuses[400] > 500
    assert server.request("POST", "/queue", {"clear": True})[0] == 200
    server.request("POST", "/interrupt", "")
    wait_quiet(server)
    assert "execution_success" in types(run(server, DEFAULT)[1])


def test_killed_servers_resume(tmp_path):
    server = FakeComfy(tmp_path)
    done, _ = run(server, DEFAULT)
    socket = server.socket("owner")
    running = server.queue(node("Wait"), "owner")
    socket.read_until(lambda frame: frame[0] == "executing")
    waiting = [server.queue(node("SaveImage"), "owner") for _ in range(5)]
    server.kill()

    server = FakeComfy(tmp_path)
    assert done in server.get("/history")
    socket = server.socket("owner")
    remaining = socket.read()[1]["status"]["exec_info"]["queue_remaining"]
    assert remaining == 6
    assert [item[1] for item in server.get("/queue")["queue_pending"]][-5:] == waiting
    jobs = {job["id"]: job["status"] for job in server.get("/api/jobs?limit=20")["jobs"]}
    assert jobs[running] in ("in_progress", "pending") and jobs[done] == "completed"
    while not server.get("/queue")["queue_running"]:
        pass  # a job that is cancelled before it begins leaves no history
    server.post("/api/jobs/cancel", {"job_ids": [running]})
    socket.read_prompt(waiting[-1])
    history = server.get("/history")
    assert list(history) == [done, running, *waiting]
    for prompt_id in waiting:
        image = history[prompt_id]["outputs"]["1"]["images"][0]
        assert Image.open(tmp_path / "output" / image["filename"]).size == (8, 8)
    assert server.stop() == 0


def test_a_hundred_jobs_and_many_kills(tmp_path):
    """Every job ends exactly once, and every file the history names opens, wherever the server was cut off."""
    source = random.Random(9)
    server = FakeComfy(tmp_path)
    blocker = server.queue(node("Wait"), "owner")
    ids = [server.queue(DEFAULT, "owner") for _ in range(100)]
    kills = 0
    while len(server.get("/history")) < 101 and kills < 200:
        socket = server.socket("owner")
        server.post(f"/api/jobs/{blocker}/cancel", {})
        left = source.randrange(400)
        while left > 0 and len(server.get("/queue")["queue_pending"]) > 0:
            socket.read()
            left -= source.randrange(1, 40)
        server.kill()
        kills += 1
        server = FakeComfy(tmp_path)
    history = server.get("/history")
    assert kills > 3 and sorted(history) == sorted([blocker, *ids])
    assert server.get("/prompt")["exec_info"]["queue_remaining"] == 0
    for prompt_id in ids:
        entry = history[prompt_id]
        if entry["status"]["completed"]:
            image = entry["outputs"]["9"]["images"][0]
            assert Image.open(tmp_path / "output" / image["filename"]).size == (8, 8)
        else:
            assert entry["status"]["messages"][0][1]["exception_type"] == "hearth.InterruptedByCrash"
    assert sum(history[prompt_id]["status"]["completed"] for prompt_id in ids) > 90
    assert server.stop() == 0


def test_a_job_that_kills_the_server_twice_ends(tmp_path):
    server = FakeComfy(tmp_path)
    first, crash, good = [server.queue(node(name)) for name in ("Wait", "Crash", "SaveImage")]
    try:
        server.post(f"/api/jobs/{first}/cancel", {})
    except (ConnectionError, http.client.HTTPException):
        pass  # the server was gone before its answer
    assert server.process.wait(timeout=20) != 0
    # The second run may end the server before it says its port.
    second = None
    try:
        second = FakeComfy(tmp_path)
    except (IndexError, ValueError):
        pass
    if second:
        assert second.process.wait(timeout=20) != 0
    third = FakeComfy(tmp_path)
    socket = third.socket()
    socket.read()
    while good not in third.get("/history"):
        assert third.is_alive()
    entry = third.get("/history")[crash]
    assert entry["status"]["status_str"] == "error"
    assert entry["status"]["messages"][0][1]["exception_type"] == "hearth.InterruptedByCrash"
    assert third.get(f"/api/jobs/{crash}")["status"] == "failed"
    assert third.get("/history")[good]["status"]["completed"] is True
    assert third.stop() == 0


def test_prompts_are_accepted_quickly_while_one_runs(server):
    """Every accepted prompt is on disk when the answer comes; most of the time goes to the disk's own fsync."""
    blocker = server.queue(node("Wait"))
    times = []
    for _ in range(200):
        begun = time.perf_counter()
        server.queue(node("SaveImage"))
        times.append(time.perf_counter() - begun)
    times.sort()
    server.post("/queue", {"clear": True})
    server.post("/interrupt", {"prompt_id": blocker})
    wait_quiet(server)
    assert times[len(times) // 2] < 0.02, times[-5:]
