"""Runs the real program build/<preset>/bin/hearth for tests. HEARTH_BIN names the folder of the programs, else the
newest build is taken; HEARTH_TEST_SMOLLM2 and HEARTH_TEST_GEMMA3 name the model files."""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import openai
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"


def program():
    chosen = os.environ.get("HEARTH_BIN")
    folders = [pathlib.Path(chosen)] if chosen else ROOT.glob("build/*/bin")
    found = [folder / "hearth" for folder in folders if (folder / "hearth").exists()]
    if not found:
        pytest.fail("hearth is not built: build the target hearth, or set HEARTH_BIN to its folder")
    return max(found, key=lambda path: path.stat().st_mtime)


def model_file(name):
    variable = "HEARTH_TEST_" + name.upper()
    if not os.environ.get(variable):
        pytest.fail(f"{variable} must name the GGUF file of {name}; ./test fetches it")
    return pathlib.Path(os.environ[variable])


def environment(folder):
    """Nothing of the machine's own configuration, models or proxies reaches the program."""
    def is_neutral(key):
        return not key.startswith(("HEARTH_", "XDG_")) and "proxy" not in key.lower()

    kept = {key: value for key, value in os.environ.items() if is_neutral(key)}
    return {**kept, "HOME": str(folder), "HEARTH_MEMORY_MODELS_DIR": str(folder / "models")}


def profile(name, path, *lines):
    return "\n".join([f'[models."{name}"]', f'path = "{path}"', *lines, ""])


def run(folder, *words, timeout=60, stdin=""):
    """One command to its end, in `folder`."""
    return subprocess.run([program(), *map(str, words)], cwd=folder, env=environment(folder), input=stdin,
                          capture_output=True, text=True, timeout=timeout)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, seconds=20):
    """Asks again and again; each question is a request of its own, so nothing sleeps."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
    return False


class Hearth:
    def __init__(self, folder, config="", *flags, env=None):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hearth.toml").write_text(config)
        self.log = []
        self.process = subprocess.Popen([program(), "serve", "--port", str(self.port), "--device", "cpu", *flags],
                                        cwd=folder, env={**environment(folder), **(env or {})},
                                        stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            self.log.append(line)
            if "ready on" in line:
                break
        else:
            pytest.fail("hearth serve did not start:\n" + "".join(self.log))
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.stop() == 0, "".join(self.log[-40:])

    def is_alive(self):
        return self.process.poll() is None

    def stop(self, how=signal.SIGTERM):
        if self.is_alive():
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.reader.join(timeout=20)

    def client(self, api_key="unused", kind=openai.OpenAI):
        return kind(base_url=self.url + "/v1", api_key=api_key, max_retries=0, timeout=120)

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        if isinstance(body, dict):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), data

    def post(self, path, **body):
        """Status and parsed body."""
        status, _, data = self.request("POST", path, body)
        return status, json.loads(data)

    def error(self, path, **body):
        status, answer = self.post(path, **body)
        assert set(answer["error"]) - {"details"} == {"message", "type", "param", "code"}, answer
        return status, answer["error"]

    def metrics(self):
        """Every sample by its name with labels, as written."""
        text = self.request("GET", "/metrics")[2].decode()
        return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.M)}

    def leases(self):
        return {name: value for name, value in self.metrics().items() if name.startswith("hearth_lease_bytes")}

    def is_loaded(self, model):
        return self.metrics()[f'hearth_model_loaded{{model="{model}"}}'] == 1

    def is_quiet(self):
        now = self.metrics()
        return (now["hearth_requests_running"], now["hearth_requests_waiting"], now["hearth_pages_used"]) == (0, 0, 0)

    def memory_bytes(self, field):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.M).group(1)) * 1024


class RawStream:
    """A streamed request over a plain socket, to be read in pieces, cut off or abandoned."""

    def __init__(self, server, path, body):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        text = json.dumps({**body, "stream": True}).encode()
        self.socket.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(text)}\r\n"
                            "Connection: close\r\n\r\n".encode() + text)

    def read_until(self, wanted):
        """What came up to and with `wanted`; everything when the server ends first."""
        got = b""
        while wanted not in got:
            piece = self.socket.recv(65536)
            if not piece:
                break
            got += piece
        return got

    def read_all(self):
        try:
            return self.read_until(b"\0 never sent")
        except ConnectionResetError:
            return b""

    def hang_up(self):
        self.socket.close()

    def reset(self):
        """Closes with a TCP reset instead of an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()
