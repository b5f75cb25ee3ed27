"""Damaged model files and hostile templates: an error that says so, or text; the server never dies of them."""
import json
import os
import random
import re
import shutil
import struct
import threading
import time

import pytest

from hearth_process import CHAT, COMPLETIONS, Hearth, model_file, profile, until
from slow_model import write_slow_model

FLIPS = 40


@pytest.fixture(scope="module")
def header_bytes():
    """Where the tensors of the model file begin, by reading the file up to its tensor table with the gguf package."""
    import gguf
    return int(gguf.GGUFReader(model_file("smollm2")).data_offset)


def one_model_at_a_time(path, count):
    # Each name loads the file anew; the budget holds one of them.
    limits = '[llm]\ncontext = 64\nparallel = 1\n[memory]\nbudget = "140MiB"\n'
    return "".join(profile(f"m{i}", path) for i in range(count)) + limits


def ask(server, model):
    return server.request("POST", COMPLETIONS, {"model": model, "prompt": "One two three", "max_tokens": 3,
                                                "temperature": 0, "logprobs": 2})


def check_answered(server, answer, what):
    status, _, data = answer
    assert server.is_alive(), (what, server.log[-5:])
    body = json.loads(data)
    if status == 200:
        assert body["usage"]["completion_tokens"] >= 1
    else:
        assert status in (400, 500, 503) and len(body["error"]["message"]) > 20, (what, body)
        assert status != 500 or body["error"]["code"] != "internal", (what, body)
    return status


def test_flipped_bits(tmp_path, header_bytes):
    source = random.Random(7)
    broken = tmp_path / "broken.gguf"
    shutil.copy(model_file("smollm2"), broken)
    size = broken.stat().st_size
    spots = [source.randrange(64) for _ in range(8)] + [source.randrange(header_bytes) for _ in range(10)] + [
        header_bytes - 1 - source.randrange(15000) for _ in range(8)]  # the tensor table
    spots += [source.randrange(header_bytes, size) for _ in range(FLIPS - len(spots))]
    statuses = []
    with Hearth(tmp_path / "server", one_model_at_a_time(broken, FLIPS + 1)) as server, open(broken, "r+b") as file:
        for i, spot in enumerate(spots):
            file.seek(spot)
            byte = file.read(1)[0]
            flipped = byte ^ (1 << source.randrange(8))
            for value in (flipped, byte):
                file.seek(spot)
                file.write(bytes([value]))
                file.flush()
                if value == flipped:
                    statuses.append(check_answered(server, ask(server, f"m{i}"), f"byte {spot}: {byte} -> {flipped}"))
        assert ask(server, f"m{FLIPS}")[0] == 200, "the whole file works again"
    # Flips in the numbers of the header are refused, flips in weights and words mostly are not noticed.
    assert {200, 500} <= set(statuses), statuses


def test_weights_that_are_not_numbers(tmp_path, header_bytes):
    """NaN and infinity in every weight still give an answer or an error."""
    broken = tmp_path / "broken.gguf"
    whole = model_file("smollm2").read_bytes()
    with Hearth(tmp_path / "server", one_model_at_a_time(broken, 3)) as server:
        for i, pattern in enumerate((b"\xff", b"\x7c\x7c", struct.pack("<f", float("nan")))):
            count = (len(whole) - header_bytes) // len(pattern)
            broken.write_bytes(whole[:header_bytes] + (pattern * count).ljust(len(whole) - header_bytes, b"\xff"))
            check_answered(server, ask(server, f"m{i}"), f"tensors of {pattern}")
            sampled = server.request("POST", COMPLETIONS, {"model": f"m{i}", "prompt": "x", "max_tokens": 3,
                                                           "top_p": 0.9, "top_k": 40, "typical_p": 0.9, "seed": 1})
            check_answered(server, sampled, f"tensors of {pattern}, sampled")


def test_truncated_and_foreign_files(tmp_path, header_bytes):
    whole = model_file("smollm2").read_bytes()
    broken = tmp_path / "broken.gguf"
    cases = [whole[:n] for n in (0, 3, 4, 23, 24, 1000, header_bytes // 2, header_bytes - 40, header_bytes,
                                 (header_bytes + len(whole)) // 2, len(whole) - 1)]
    cases += [b"\0" * 4096, b"PK\3\4" + whole[4:5000], b"{}" * 100]
    with Hearth(tmp_path / "server", one_model_at_a_time(broken, len(cases) + 2)) as server:
        for i, data in enumerate(cases):
            broken.write_bytes(data)
            status, error = server.error(COMPLETIONS, model=f"m{i}", prompt="x")
            assert status == 500 and error["code"] == "corrupt_file", (len(data), error)
            assert "broken.gguf" in error["message"], error
        broken.unlink()
        status, error = server.error(COMPLETIONS, model=f"m{len(cases)}", prompt="x")
        assert status in (404, 500) and "broken.gguf" in error["message"], error
        broken.mkdir()
        status, error = server.error(COMPLETIONS, model=f"m{len(cases) + 1}", prompt="x")
        assert status in (404, 500) and "broken.gguf" in error["message"], error
        assert server.leases() == {}, "a failed load gives its memory back"


@pytest.mark.parametrize("change", [lambda path: os.truncate(path, path.stat().st_size // 4), os.utime])
def test_a_file_that_changes_while_it_loads_is_refused(tmp_path, change):
    path = write_slow_model(tmp_path / "slow.gguf", layers=3)
    with Hearth(tmp_path / "server", profile("slow", path)) as server:
        answers = []
        client = threading.Thread(target=lambda: answers.append(server.error(COMPLETIONS, model="slow", prompt="a")))
        client.start()
        assert until(server.leases)  # the header is read, the weights are not
        change(path)
        client.join()
        status, error = answers[0]
        assert (status, error["code"]) == (500, "corrupt_file"), error
        assert re.search("the file (changed|ends at)|short of its tensors", error["message"]), error
        assert server.leases() == {}, "a failed load gives its memory back"


def test_a_file_that_is_repaired_loads_without_a_restart(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    with Hearth(tmp_path / "server", profile("smollm2", path)) as server:
        assert ask(server, "smollm2")[0] == 500
        path.unlink()
        path.symlink_to(model_file("smollm2"))
        assert ask(server, "smollm2")[0] == 200


@pytest.mark.parametrize("source, expected", [
    ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", (504, "max_steps")),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", (400, "max_depth")),
    ("{% for a in range(999999999) %}{% endfor %}", (400, "range")),
    ("{{ 'x' * 999999999 }}", (400, "max_")),
    ("{{ raise_exception('only cats may ask') }}", (400, "only cats may ask")),
    ("{{ messages[0].content.nothing.there }}", (400, "chat template")),
])
def test_hostile_chat_templates(tmp_path, source, expected):
    template = tmp_path / "template.jinja"
    template.write_text(source)
    config = profile("smollm2", model_file("smollm2"), f'chat_template = "{template}"')
    with Hearth(tmp_path / "server", config) as server:
        assert ask(server, "smollm2")[0] == 200
        begun = time.monotonic()
        status, error = server.error(CHAT, messages=[{"role": "user", "content": "hi"}])
        assert time.monotonic() - begun < 10
        assert (status, expected[1] in error["message"]) == (expected[0], True), (status, error)
        assert ask(server, "smollm2")[0] == 200


def test_a_template_that_does_not_parse_spoils_only_chat(tmp_path):
    template = tmp_path / "template.jinja"
    template.write_text("{% for m in messages %}{{ m.content")
    config = profile("smollm2", model_file("smollm2"), f'chat_template = "{template}"')
    with Hearth(tmp_path / "server", config) as server:
        assert ask(server, "smollm2")[0] == 200
        status, error = server.error(CHAT, messages=[{"role": "user", "content": "hi"}])
        assert status == 400 and "does not parse" in error["message"], error
