"""One `hearth serve` for benchmark scripts: its start and end, its JSON routes, streamed answers and queued
pictures."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def workflow(checkpoint, size, steps, seed, prompt="a red fox", prefix="bench"):
    """A picture from words in ComfyUI's API format."""
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": prompt, "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": size, "height": size, "batch_size": 1}},
        "5": {"class_type": "KSampler",
              "inputs": {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0],
                         "seed": seed, "steps": steps, "cfg": 4, "sampler_name": "euler", "scheduler": "normal",
                         "denoise": 1}},
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": prefix}},
    }


class Server:
    """A server on the CPU with folders of its own below `folder`; models are (name, path) pairs of language models."""

    def __init__(self, program, folder, models, checkpoint, threads, config=""):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        checkpoints = self.folder / "models/checkpoints"
        checkpoints.mkdir(parents=True, exist_ok=True)
        self.checkpoint = pathlib.Path(checkpoint).name
        if not (checkpoints / self.checkpoint).exists():
            (checkpoints / self.checkpoint).symlink_to(pathlib.Path(checkpoint).resolve())
        tables = "".join(f'[models."{name}"]\npath = "{pathlib.Path(path).resolve()}"\npin = true\n'
                         for name, path in models)
        folders = "".join(f'{kind}_dir = "{self.folder / kind}"\n'
                          for kind in ("models", "input", "output", "temp", "user"))
        (self.folder / "hearth.toml").write_text(f"{tables}[pictures]\n{folders}{config}")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HEARTH_", "XDG_"))}
        command = [str(pathlib.Path(program).resolve()), "serve", "--port", str(self.port), "--device", "cpu",
                   "--threads", str(threads)]
        with open(self.folder / "log.txt", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env={**kept, "HOME": str(self.folder)},
                                            stderr=log)
        self._wait_until_it_answers()

    def _wait_until_it_answers(self):
        while True:
            try:
                self.get("/prompt")
                return
            except (ConnectionError, http.client.HTTPException):
                if self.process.poll() is not None:
                    text = (self.folder / "log.txt").read_text(encoding="utf-8")
                    raise SystemExit(f"hearth serve ended with {self.process.returncode}:\n{text[-2000:]}") from None
                time.sleep(0.005)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=60)

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"{method} {path} was answered with {answer.status}: {data[:500]!r}")
        return json.loads(data) if data.strip() else None

    def get(self, path):
        return self.request("GET", path)

    def queue(self, prompt, **more):
        """The id of a queued prompt."""
        return self.request("POST", "/prompt", {"prompt": prompt, **more})["prompt_id"]

    def history(self):
        return self.get("/history?max_items=100000")

    def clear_queue(self):
        self.request("POST", "/queue", {"clear": True})
        self.request("POST", "/interrupt", {})
        while self.get("/prompt")["exec_info"]["queue_remaining"] > 0:
            time.sleep(0.01)

    def memory_bytes(self, field):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(field + ":"))

    def stream(self, model, prompt, tokens):
        """Yields the time at which each piece of a streamed chat answer arrived."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("POST", "/v1/chat/completions", json.dumps(
            {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens, "stream": True,
             "ignore_eos": True, "temperature": 0}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"a chat was answered with {answer.status}: {answer.read()[:500]!r}")
        for line in answer:
            if line.startswith(b"data: {") and b'"content":"' in line and b'"content":""' not in line:
                yield time.perf_counter()
        connection.close()


def ended_ms(entry):
    """When a job of the history ended, or nothing."""
    ends = [data["timestamp"] for kind, data in entry["status"]["messages"]
            if kind in ("execution_success", "execution_error", "execution_interrupted")]
    return ends[0] if ends else None


def is_success(entry):
    return entry["status"]["completed"] is True
