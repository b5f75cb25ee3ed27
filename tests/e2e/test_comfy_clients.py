"""Clients that others wrote for ComfyUI's API, unmodified, against `hearth serve`: comfy-api-simplified, ComfyScript
and comfyui-workflow-client queue, upload, wait, fetch and cancel, each in its own way."""
import asyncio
import io
import json
import subprocess
import sys
import textwrap
import threading

import pytest
from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper
from comfy_api_simplified.exceptions import ComfyApiError
from comfyuiclient import ComfyUIClient, ComfyUIClientAsync
from PIL import Image

from comfy_process import ENDLESS, ComfyHearth, graph

TITLES = {"4": "Load Checkpoint", "5": "Empty Latent Image", "6": "Positive", "7": "Negative", "3": "KSampler",
          "8": "VAE Decode", "9": "Save Image"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ComfyHearth(tmp_path_factory.mktemp("clients")) as running:
        yield running


def titled(prompt, titles=TITLES):
    """As the editor exports it: both clients find nodes by their titles."""
    return {key: {**value, "_meta": {"title": titles[key]}} for key, value in prompt.items()}


def through(image):
    """A graph that gives an uploaded picture back, inverted."""
    return titled({"1": {"class_type": "LoadImage", "inputs": {"image": image}},
                   "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
                   "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "inverted"}}},
                  {"1": "Load Image", "2": "Invert", "3": "Save Image"})


def picture(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


# ---- comfy-api-simplified ----

@pytest.fixture
def simplified(server):
    return ComfyApiWrapper(server.url)


def test_simplified_draws_and_gets_the_file(server, simplified):
    workflow = ComfyWorkflowWrapper(titled(graph(steps=4)))
    workflow.set_node_param("Positive", "text", "a fox")
    workflow.set_node_param("KSampler", "seed", 18446744073709551615)
    images = simplified.queue_and_wait_images(workflow, "Save Image")
    # A client that takes every binary frame for a result must not have been sent previews: the file has its own name.
    (name, data), = images.items()
    assert name.startswith("ComfyUI_") and (server.root / "output" / name).read_bytes() == data
    told = json.loads(Image.open(io.BytesIO(data)).text["prompt"])
    assert told["6"]["inputs"]["text"] == "a fox" and told["3"]["inputs"]["seed"] == 18446744073709551615


def test_simplified_gets_pictures_over_the_socket(simplified):
    prompt = graph(steps=2, seed=5)
    prompt["9"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["8", 0]}}
    prompt_id, images = asyncio.run(simplified.queue_prompt_and_wait(prompt))
    assert len(images) == 1 and Image.open(io.BytesIO(images[0])).format == "PNG"
    assert simplified.get_history(prompt_id)[prompt_id]["status"]["completed"] is True


def test_simplified_uploads(tmp_path, simplified):
    Image.new("RGB", (8, 8), (255, 0, 10)).save(tmp_path / "red one.png")
    answer = simplified.upload_image(tmp_path / "red one.png")
    assert answer == {"name": "red one.png", "subfolder": "default_upload_folder", "type": "input"}
    images = simplified.queue_and_wait_images(through(f"{answer['subfolder']}/{answer['name']}"), "Save Image")
    assert picture(*images.values()).getpixel((3, 3)) == (0, 255, 245)


def test_simplified_waits_its_turn_and_cancels(server, simplified):
    with server.socket("watcher") as socket:
        running = simplified.queue_prompt(graph(steps=ENDLESS), "watcher")["prompt_id"]
        socket.read_until(lambda frame: frame[0] == "progress")
        waiting = [simplified.queue_prompt(graph(seed=9))["prompt_id"] for _ in range(2)]
        assert [simplified.get_queue_size_before(each) for each in (running, *waiting)] == [0, 1, 2]
        simplified.interrupt()
        socket.read_prompt(running)
    status = simplified.get_history(running)[running]["status"]
    assert (status["status_str"], status["messages"][-1][0]) == ("error", "execution_interrupted")
    server.cancel_everything()


def test_simplified_hears_of_errors(server, simplified):
    with pytest.raises(ComfyApiError, match="400"):
        simplified.queue_prompt(graph(steps=0))
    (server.root / "input" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    # It connects after it has queued, so something before it must keep the server busy until it listens.
    with server.socket("blocker") as socket:
        server.queue(graph(steps=ENDLESS), "blocker")
        socket.read_until(lambda frame: frame[0] == "progress")
        failed = []
        waiting = threading.Thread(target=lambda: failed.append(outcome(simplified, through("broken.png"))))
        waiting.start()
        while len(server.get("/queue")["queue_pending"]) == 0:
            pass
        server.request("POST", "/interrupt", "")
        waiting.join(timeout=60)
    assert failed == ["Execution error occurred."]


def outcome(simplified, prompt):
    try:
        return simplified.queue_and_wait_images(prompt, "Save Image")
    except ComfyApiError as error:
        return str(error)


def test_simplified_asks_about_the_server(server, simplified):
    assert "KSampler" in simplified.get_object_info() and simplified.get_object_info("Nobody") == {}
    assert simplified.get_system_stats()["devices"][0]["type"] == "cpu"
    assert simplified.get_embeddings() == []
    assert simplified.get_queue() == {"queue_running": [], "queue_pending": []}
    with pytest.raises(ComfyApiError, match="404"):
        simplified.get_image("none.png", "", "output")


# ---- comfyui-workflow-client ----

def written(tmp_path, prompt):
    (tmp_path / "workflow.json").write_text(json.dumps(prompt))
    return str(tmp_path / "workflow.json")


def test_workflow_client_draws(server, tmp_path):
    client = ComfyUIClient(f"127.0.0.1:{server.port}", written(tmp_path, titled(graph())))
    client.connect()
    client.set_data("KSampler", seed=77)
    client.set_data("Positive", text="a hen")
    drawn = client.generate(["Save Image"])["Save Image"]
    client.close()
    assert drawn.size == (16, 16) and json.loads(drawn.text["prompt"])["6"]["inputs"]["text"] == "a hen"


def test_workflow_client_uploads_and_waits_over_the_socket(server, tmp_path):
    async def session():
        client = ComfyUIClientAsync(f"127.0.0.1:{server.port}", written(tmp_path, through("none.png")))
        await client.connect()
        try:
            await client.set_data("Load Image", image=Image.new("RGB", (8, 8), (0, 100, 255)))
            return (await client.generate(["Save Image"]))["Save Image"]
        finally:
            await client.close()

    assert asyncio.run(session()).convert("RGB").getpixel((0, 0)) == (255, 155, 0)


def test_workflow_client_runs_an_editors_file(server, tmp_path):
    """It turns the editor's own format into the API's; a widget it does not know must not stop the workflow."""
    editor = {"nodes": [
        {"id": 1, "type": "EmptyImage", "widgets_values": [], "inputs": []},
        {"id": 2, "type": "SaveImage", "widgets_values": ["made"], "inputs": [{"name": "images", "link": 1}]}],
        "links": [[1, 1, 0, 2, 0, "IMAGE"]]}
    client = ComfyUIClient(f"127.0.0.1:{server.port}", written(tmp_path, editor))
    client.connect()
    with pytest.raises(ConnectionError, match="400"):
        client.generate(["SaveImage"])  # the widgets of EmptyImage are lost on the way
    for name, value in (("width", 24), ("height", 8), ("batch_size", 1), ("color", 0xFF0000)):
        client.set_data("EmptyImage", input_key=name, input_value=value)
    assert client.generate(["SaveImage"])["SaveImage"].size == (24, 8)
    client.close()


# ---- ComfyScript: in a process of its own, as it changes asyncio for the whole program ----

FOX = """
    import json, sys
    from comfy_script.runtime import *
    load(sys.argv[1])
    from comfy_script.runtime.nodes import *

    def fox(steps, seed=1, side=64):
        model, clip, vae = CheckpointLoaderSimple('sd1.safetensors')
        words = CLIPTextEncode('a fox', clip)
        latent = KSampler(model, seed, steps, 8, Samplers.euler, 'normal', words, CLIPTextEncode('', clip),
                          EmptyLatentImage(side, side, 1), 1)
        return SaveImage(VAEDecode(latent, vae), 'fox')
"""


def run_script(server, tmp_path, text):
    """What the script put into its `told`, as JSON."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(FOX) + textwrap.dedent(text) + "\nprint('TOLD', json.dumps(told))\n")
    done = subprocess.run([sys.executable, script, server.url], capture_output=True, text=True, timeout=120)
    lines = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
    assert done.returncode == 0 and lines, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(lines[0][5:]), done.stdout


def test_comfy_script_draws_and_fetches(server, tmp_path):
    told, printed = run_script(server, tmp_path, """
        saved = fox(2).wait()
        with Workflow(wait=True) as workflow:
            first, second = fox(2, 2), fox(2, 3)
        told = {'files': [image['filename'] for image in saved._output['images']], 'size': saved[0].size,
                'both': [each.wait()._output['images'][0]['filename'] for each in (first, second)],
                'nodes': len(workflow.api_format())}
    """)
    assert told["size"] == [16, 16] and told["files"] == ["fox_00001_.png"]
    assert sorted(told["both"]) == ["fox_00002_.png", "fox_00003_.png"]
    assert "Failed to load node" not in printed, printed


def test_comfy_script_sees_progress(server, tmp_path):
    told, _ = run_script(server, tmp_path, """
        told = {'progress': []}
        task = queue.put(fox(6, 4))
        task.add_progress_callback(lambda progress: told['progress'].append([progress.value, progress.max]))
        task.wait()
        told['ended'] = task.done()
    """)
    assert told["ended"] is True and told["progress"] == sorted(told["progress"])
    assert all(most == 6 for _, most in told["progress"])


def test_comfy_script_cancels(server, tmp_path):
    told, _ = run_script(server, tmp_path, """
        import threading
        begun = threading.Event()
        endless = queue.put(fox(9999, 5))
        endless.add_progress_callback(lambda progress: begun.set())
        told = {'began': begun.wait(60)}
        queue.cancel_all()
        told['results'] = endless.wait()
    """)
    assert told == {"began": True, "results": []}
    assert server.get("/prompt")["exec_info"]["queue_remaining"] == 0


def test_comfy_script_is_told_what_is_wrong(server, tmp_path):
    told, printed = run_script(server, tmp_path, """
        told = {'task': queue.put(fox(0))}
        told['next'] = fox(2, 8).wait()[0].size
    """)
    assert told == {"task": None, "next": [16, 16]}
    assert "value_smaller_than_min" in printed and "Value 0 smaller than min of 1" in printed
