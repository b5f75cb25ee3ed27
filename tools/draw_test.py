"""draw.py against a stand-in for the server: the picture is kept, a refusal is said and fails."""

import base64
import http.server
import json
import pathlib
import subprocess
import sys
import threading

import pytest

TOOL = pathlib.Path(__file__).resolve().parent / "draw.py"
PNG = b"\x89PNG\r\n and so on"


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers["Authorization"], asked))
        status, body = self.server.answer
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    running = http.server.HTTPServer(("127.0.0.1", 0), Server)
    running.asked = []
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def draw(server, folder, status, body, key=""):
    server.answer = (status, body)
    hearth = folder / "hearth"
    hearth.write_text(f"#!/bin/sh\necho '{key}'\n")
    hearth.chmod(0o755)
    command = [sys.executable, TOOL, hearth, str(server.server_port), folder / "a.png"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_picture_is_kept_and_its_place_is_said(server, tmp_path):
    told = draw(server, tmp_path, 200, {"data": [{"b64_json": base64.b64encode(PNG).decode()}]}, key="secret")
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "a.png").read_bytes() == PNG
    assert str(tmp_path / "a.png") in told.stdout and f"http://127.0.0.1:{server.server_port}/" in told.stdout
    (path, key, asked), = server.asked
    assert (path, key) == ("/v1/images/generations", "Bearer secret") and "secret" not in told.stdout
    assert asked["model"] == "sprite.safetensors" and asked["prompt"] == "a red apple"


@pytest.mark.parametrize("status, body, words", [
    (404, {"error": {"message": "model 'sprite.safetensors' does not exist"}}, "does not exist"),
    (200, {"data": []}, "no picture came"),
    (200, {"data": [{"b64_json": base64.b64encode(b"GIF89a").decode()}]}, "no PNG"),
])
def test_no_picture_is_a_failure_with_its_reason(server, tmp_path, status, body, words):
    told = draw(server, tmp_path, status, body)
    assert told.returncode == 1 and words in told.stderr and not (tmp_path / "a.png").exists()
