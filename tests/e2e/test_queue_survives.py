"""A server of pictures that is killed and started again on the same folders: every job ends once, every listed file is
whole and carries its words, nothing is left over, and a job that was cut off twice is given up."""
import json
import signal

import pytest
from PIL import Image

from comfy_process import ENDLESS, ComfyHearth, graph

JOBS = 10


def files(root):
    return {path.relative_to(root) for kind in ("output", "temp") for path in (root / kind).rglob("*")
            if path.is_file()}


def is_node(name):
    return lambda frame: frame[0] == "executing" and frame[1]["node"] == name


def is_shown(frame):
    return frame[0] == "executed" and frame[1]["node"] == "9"


def wait_until_empty(server):
    with server.socket() as socket:
        frame = socket.read()
        while frame[0] != "status" or frame[1]["status"]["exec_info"]["queue_remaining"] > 0:
            frame = socket.read()


def killed_at(server, root, client_id, wanted):
    """The next server, after this one was killed as soon as `client_id` was told of `wanted`."""
    with server.socket(client_id) as socket:
        socket.read_until(wanted)
        server.stop(signal.SIGKILL)
    return ComfyHearth(root)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "server"


def test_every_job_ends_once_and_every_file_is_whole(root):
    server = ComfyHearth(root)
    ids = [server.queue(graph(steps=4, seed=seed), f"client-{seed}",
                        extra_data={"extra_pnginfo": {"workflow": {"nodes": [], "number": seed}}})
           for seed in range(JOBS - 1)]
    # Three pictures a job, so that a kill between them finds some written and some not.
    batch = graph(steps=1, seed=JOBS - 1)
    batch["5"]["inputs"]["batch_size"] = 3
    ids.append(server.queue(batch, f"client-{JOBS - 1}",
                            extra_data={"extra_pnginfo": {"workflow": {"nodes": [], "number": JOBS - 1}}}))
    server = killed_at(server, root, "client-2", is_node("3"))    # in the middle of sampling
    server = killed_at(server, root, "client-5", is_shown)        # its file is there, its history may not be
    server = killed_at(server, root, f"client-{JOBS - 1}", is_node("9"))  # while files are written
    wait_until_empty(server)

    history = server.get("/history")
    assert list(history) == ids
    named = []
    for number, prompt_id in enumerate(ids):
        entry = history[prompt_id]
        assert entry["status"]["completed"] is True, entry["status"]
        images = entry["outputs"]["9"]["images"]
        assert len(images) == (3 if number == JOBS - 1 else 1)
        for image in images:
            path = root / "output" / image["subfolder"] / image["filename"]
            named.append(path.relative_to(root))
            with Image.open(path) as picture:
                picture.load()
                assert picture.format == "PNG"
                assert json.loads(picture.text["prompt"])["3"]["inputs"]["seed"] == number
                assert json.loads(picture.text["workflow"]) == {"nodes": [], "number": number}
    assert len(set(named)) == len(named) and files(root) == set(named)
    assert server.stop() == 0


def test_a_job_cut_off_twice_is_given_up_and_the_next_one_runs(root):
    server = ComfyHearth(root)
    deadly = server.queue(graph(steps=ENDLESS), "owner")
    good = server.queue(graph(steps=1), "owner")
    for _ in range(2):
        server = killed_at(server, root, "owner", lambda frame: frame[0] == "progress")
    wait_until_empty(server)
    entry = server.get("/history")[deadly]
    assert entry["status"]["status_str"] == "error" and not entry["outputs"]
    kind, data = entry["status"]["messages"][-1]
    assert kind == "execution_error" and data["exception_type"] == "hearth.InterruptedByCrash"
    assert "2 times" in data["exception_message"]
    assert server.get(f"/api/jobs/{deadly}")["status"] == "failed"
    assert server.get("/history")[good]["status"]["completed"] is True
    assert len(files(root)) == 1
    assert server.stop() == 0


def test_a_server_that_is_stopped_takes_its_job_up_again(root):
    server = ComfyHearth(root)
    running = server.queue(graph(steps=ENDLESS), "owner")
    for _ in range(3):  # an orderly stop is no crash, however often it happens
        with server.socket("owner") as socket:
            socket.read_until(lambda frame: frame[0] == "progress")
            assert server.stop() == 0
        server = ComfyHearth(root)
    with server.socket("owner") as socket:
        socket.read_until(lambda frame: frame[0] == "progress")
    assert [item[1] for item in server.get("/queue")["queue_running"]] == [running]
    server.cancel_everything()
    assert files(root) == set()
    assert server.stop() == 0
