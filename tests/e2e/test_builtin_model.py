"""The picture model that comes with the program: it draws what the words say, alike for the same seed, from a picture
or into a hole of one, with every preset, and its previews become the picture."""
import base64
import io
import json
import struct
import sys

import numpy
import pytest
import websocket
from PIL import Image

from hearth_process import ROOT, Hearth, program, run

sys.path += [str(ROOT / "assets" / "sprite"), str(ROOT / "tools")]
import colours  # noqa: E402
import features  # noqa: E402
import picture_once  # noqa: E402

SIDE = 128
NAME = "sprite.safetensors"


@pytest.fixture(autouse=True, scope="module")
def unpacked():
    file = program().resolve().parent.parent / "share/hearth/models/checkpoints" / NAME
    assert file.exists(), f"{file} is missing: build the target sprite"
    assert file.stat().st_size <= 60e6


def imagine(folder, prompt, *words, out="picture.png"):
    done = run(folder, "imagine", prompt, "--no-preview", "-o", out, *words, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def pixels(path):
    return numpy.asarray(Image.open(path).convert("RGB"))


def draw(folder, prompt, *words):
    imagine(folder, prompt, *words)
    picture = pixels(folder / "picture.png")
    assert picture.shape == (SIDE, SIDE, 3)
    return picture


def away(a, b):
    """Distance of two pictures by the features that judge the model."""
    f = features.features(numpy.stack([a, b]))
    return features.distances(f[:1], f[1:])[0, 0]


def share_of_hues(picture, middle, width):
    """How much of what is coloured lies within `width` degrees of a hue."""
    hue, saturation, value = colours.hsv(picture.reshape(-1, 3) / 255)
    vivid = (saturation > 0.25) & (value > 0.2)
    assert vivid.mean() > 0.02
    return (colours.distance(hue[vivid], middle) <= width).mean()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    prompts = "a red apple", "a green apple", "a blue car", "a rocket"
    return {prompt: draw(folder, prompt, "--seed", 1) for prompt in prompts}


def test_it_draws_what_the_words_say(tmp_path, drawn):
    red, green, car = (drawn[prompt] for prompt in ("a red apple", "a green apple", "a blue car"))
    assert share_of_hues(red, 10, 30) > 0.6 and share_of_hues(green, 10, 30) < 0.4
    assert colours.winner(green) == "green" and colours.winner(car) == "blue"
    again = draw(tmp_path, "a red apple", "--seed", 2)
    noise = numpy.random.default_rng(0).integers(0, 256, red.shape, numpy.uint8)
    for other in (drawn["a rocket"], car, noise):
        assert away(red, again) < away(red, other)
    assert away(red, again) > 0.01  # another seed is another apple


def test_without_a_model_or_a_seed_there_is_a_picture_and_the_same_seed_gives_the_same_file(tmp_path):
    done = imagine(tmp_path, "a red apple", out="first.png")
    seed = done.stderr.split("seed ", 1)[1].split(",", 1)[0]
    assert "128x128, 20 steps" in done.stderr
    imagine(tmp_path, "a red apple", "--seed", seed, out="second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    prompt = json.loads(Image.open(tmp_path / "first.png").text["prompt"])
    assert any(node["inputs"].get("ckpt_name") == NAME for node in prompt.values())


def test_every_processor_draws_the_same(tmp_path):
    """As tools/picture_once.py asks of the emulated ARM program, to the same kept picture."""
    golden = ROOT / "tests/golden/builtin_picture.png"
    asked = ["--expected", golden, "--junit", tmp_path / "report.xml", "--", program()]
    assert picture_once.main([str(word) for word in asked]) == 0, (tmp_path / "report.xml").read_text()


def test_presets_draw_the_same_thing(tmp_path, drawn):
    apple, rocket = drawn["a red apple"], drawn["a rocket"]
    assert numpy.array_equal(draw(tmp_path, "a red apple", "--seed", 1, "--preset", "balanced"), apple)
    done = imagine(tmp_path, "a red apple", "--seed", 1, "--preset", "quality", out="quality.png")
    quality = pixels(tmp_path / "quality.png")
    assert "30 steps" in done.stderr and not numpy.array_equal(quality, apple)
    assert away(quality, apple) < away(quality, rocket)
    done = imagine(tmp_path, "a red apple", "--seed", 1, "--preset", "batch", "--steps", 8, out="batch.png")
    batch = [pixels(tmp_path / name) for name in done.stdout.split()]
    assert len(batch) == 8 and len({picture.tobytes() for picture in batch}) == 8
    assert sum(away(picture, apple) < away(picture, rocket) for picture in batch) >= 7


def test_from_a_picture_the_more_is_drawn_anew_the_more_changes(tmp_path, drawn):
    red = drawn["a red apple"]
    Image.fromarray(red).save(tmp_path / "init.png")
    changed = [draw(tmp_path, "a green apple", "--seed", 3, "--init", "init.png", "--denoise", part)
               for part in (0.05, 0.4, 0.9)]
    error = [numpy.abs(picture.astype(float) - red).mean() for picture in changed]
    assert error[0] < error[1] < error[2] and error[0] < 8
    assert share_of_hues(changed[0], 10, 30) > 0.6  # still the red one
    assert colours.winner(changed[2]) == "green"


def test_painting_over_changes_the_hole_and_keeps_the_rest(tmp_path, drawn):
    red = drawn["a red apple"]
    Image.fromarray(red).save(tmp_path / "init.png")
    hole = numpy.zeros((SIDE, SIDE), bool)
    hole[:, SIDE // 2:] = True
    Image.fromarray(hole.astype(numpy.uint8) * 255).save(tmp_path / "mask.png")
    painted = draw(tmp_path, "a blue car", "--seed", 3, "--init", "init.png", "--mask", "mask.png")
    error = numpy.abs(painted.astype(float) - red).mean(-1)
    kept = ~hole
    kept[:, SIDE // 2 - 16:] = False  # the decoder blends over the edge of a latent pixel or two
    assert error[kept].mean() < 5, error[kept].mean()
    assert error[hole].mean() > 4 * error[kept].mean() and error[hole].mean() > 15


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Hearth(tmp_path_factory.mktemp("server"), '[pictures]\npreview = "latent2rgb"\n') as running:
        yield running


def test_the_server_offers_it_and_draws_the_picture_of_the_command_line(server, drawn):
    spec = json.loads(server.request("GET", "/object_info/CheckpointLoaderSimple")[2])["CheckpointLoaderSimple"]
    assert NAME in json.dumps(spec["input"]["required"]["ckpt_name"])
    status, answer = server.post("/v1/images/generations", prompt="a red apple", seed=1)
    assert status == 200, answer
    data = base64.b64decode(answer["data"][0]["b64_json"])
    assert numpy.array_equal(numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB")), drawn["a red apple"])


def test_the_image_route_says_what_it_does_not_know(server):
    status, answer = server.post("/v1/images/generations", prompt="a red apple", preset="ballanced")
    assert status == 400, answer
    assert "preset 'ballanced' does not exist; there are balanced" in answer["error"]["message"]
    for _ in range(2):
        server.post("/v1/images/generations", prompt="a red apple", preset="ballanced", frobnicate=1)
    assert "".join(server.log).count("field=frobnicate") == 1


def previews_of(server, prompt):
    """The previews of a job, and its files, as a ComfyUI client gets them."""
    client = "previews"
    socket = websocket.create_connection(f"ws://127.0.0.1:{server.port}/ws?clientId={client}", timeout=60)
    asked = {"preview_method": "latent2rgb"}  # a client that does not say so gets none
    status, queued = server.post("/prompt", prompt=prompt, client_id=client, extra_data=asked)
    assert status == 200, queued
    shown, files = [], []
    while True:
        message = socket.recv()
        if isinstance(message, bytes):
            if struct.unpack(">I", message[:4])[0] == 1:
                shown.append(numpy.asarray(Image.open(io.BytesIO(message[8:])).convert("RGB")))
            continue
        event = json.loads(message)
        if event["type"] == "executed":
            files += event["data"]["output"].get("images", [])
        if event["type"] in ("execution_success", "execution_error"):
            assert event["type"] == "execution_success", event
            break
    socket.close()
    return shown, files


def test_previews_become_the_picture(server, tmp_path):
    imagine(tmp_path, "a red apple", "--seed", 1)
    graph = json.loads(Image.open(tmp_path / "picture.png").text["prompt"])
    sampler = next(node for node in graph.values() if node["class_type"] == "KSampler")
    sampler["inputs"]["seed"] = 4  # nothing of it is in the server's cache
    shown, files = previews_of(server, graph)
    data = server.request("GET", f"/view?filename={files[0]['filename']}&subfolder=&type={files[0]['type']}")[2]
    final = Image.open(io.BytesIO(data)).convert("L")
    assert len(shown) >= 8

    def unlikeness(preview):
        """1 - correlation of the grey pictures: the colours of a quick preview are a guess."""
        a = numpy.asarray(final.resize(preview.shape[1::-1], Image.BOX), float).ravel()
        b = numpy.asarray(Image.fromarray(preview).convert("L"), float).ravel()
        return 1 - numpy.corrcoef(a, b)[0, 1]

    to_last = [numpy.abs(preview.astype(float) - shown[-1]).mean() for preview in shown]
    third = len(shown) // 3
    assert numpy.mean(to_last[:third]) > numpy.mean(to_last[third:2 * third]) > numpy.mean(to_last[2 * third:-1])
    assert to_last[-2] < to_last[0] / 4
    away_from_final = [unlikeness(preview) for preview in shown]
    assert numpy.mean(away_from_final[:third]) > numpy.mean(away_from_final[-third:])
    assert away_from_final[-1] < 0.3, away_from_final


@pytest.mark.parametrize("prompt", ["a red apple", "a blue car"])
def test_a_quick_preview_has_the_colours_of_the_picture(server, tmp_path, prompt):
    imagine(tmp_path, prompt, "--seed", 1)
    graph = json.loads(Image.open(tmp_path / "picture.png").text["prompt"])
    next(node for node in graph.values() if node["class_type"] == "KSampler")["inputs"]["seed"] = 6
    shown, files = previews_of(server, graph)
    data = server.request("GET", f"/view?filename={files[0]['filename']}&subfolder=&type={files[0]['type']}")[2]

    def cells(picture):
        return numpy.asarray(picture.convert("RGB").resize((16, 16), Image.BOX), float)

    off = numpy.abs(cells(Image.fromarray(shown[-1])) - cells(Image.open(io.BytesIO(data)))).mean()
    assert off < 35, off  # of 255; the colours of SDXL's latents are off by 96 on average
