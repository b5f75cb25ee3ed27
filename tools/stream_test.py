"""show_stream.py: the answer is printed, an empty one or an error is a failure."""

import json
import pathlib
import subprocess
import sys

TOOL = pathlib.Path(__file__).resolve().parent / "show_stream.py"


def show(text):
    return subprocess.run([sys.executable, TOOL], input=text, capture_output=True, text=True)


def event(payload):
    return f"data: {json.dumps(payload)}\n\n"


def delta(content):
    return event({"choices": [{"index": 0, "delta": {"content": content}}]})


def test_pieces_are_joined_and_usage_is_believed():
    told = show(": comment\n\n" + delta("Blue ") + delta("light ✓") +
                event({"choices": [], "usage": {"completion_tokens": 7}}) + "data: [DONE]\n\n")
    assert told.returncode == 0
    assert told.stdout.splitlines()[0] == "Blue light ✓"
    assert told.stdout.splitlines()[1].startswith("-- 7 tokens")


def test_an_empty_answer_fails():
    assert show(delta("") + delta(" \n") + "data: [DONE]\n\n").returncode == 1
    assert show("").returncode == 1


def test_an_error_is_said():
    told = show('{"error": {"message": "no such model",\n "type": "not_found"}}\n')
    assert told.returncode == 1 and "no such model" in told.stderr
    assert show(event({"error": {"message": "out of room"}})).returncode == 1
