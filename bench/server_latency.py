#!/usr/bin/env python3
"""How long ComfyUI's routes take while the machine is busy drawing: /system_stats beside a picture and beside a model
that loads, and POST /prompt beside a picture that takes every core.

    bench/server_latency.py --model sprite=PATH.safetensors [--posts 500] [--side 512]

A server of its own in a temporary folder draws one endless picture of --side pixels; prompts of other seeds are then
accepted one after the other, each on the disk before it is answered, and deleted at the end. `disk` is the same fsync
without a server: what the disk itself takes for a record of that size. Every figure goes into a CSV under
bench/results/.
"""

import argparse
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

from common import Results, add_common_options, parse

FIELDS = ["model", "metric", "n", "p50_ms", "p99_ms", "max_ms"]
WANTED_MS = {"prompt while a picture is drawn": ("p99_ms", 20),
             "system_stats while a picture is drawn": ("max_ms", 100),
             "system_stats while a model loads": ("max_ms", 100)}


def graph(name, side, steps, seed):
    link = {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox", "clip": ["4", 1]}}
    return {
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": name}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": side, "height": side, "batch_size": 1}},
        "6": link, "7": link,
        "3": {"class_type": "KSampler", "inputs": {
            "seed": seed, "steps": steps, "cfg": 7, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
            "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "latency"}},
    }


class Server:
    def __init__(self, options, folder, checkpoint):
        (folder / "models/checkpoints").mkdir(parents=True)
        (folder / "models/checkpoints/model.safetensors").symlink_to(checkpoint.resolve())
        config = "[pictures]\n" + "".join(f'{name}_dir = "{folder / name}"\n'
                                          for name in ("models", "input", "output", "temp", "user"))
        (folder / "hearth.toml").write_text(config)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HEARTH_", "XDG_"))}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [options.hearth.resolve(), "serve", "--port", str(self.port), "--device", "cpu"]
        self.process = subprocess.Popen([*command, "--threads", str(options.threads)], cwd=folder, text=True,
                                        stderr=subprocess.PIPE, env={**kept, "HOME": str(folder)})
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if "ready on" in line:
                threading.Thread(target=self.process.stderr.read, daemon=True).start()  # a full pipe would stop it
                return
        raise SystemExit("the server did not start:\n" + "".join(lines))

    def ask(self, method, path, body=None):
        """The parsed answer, and the milliseconds it took with a connection of its own."""
        text = json.dumps(body) if body is not None else None
        begun = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, text)
        answer = connection.getresponse()
        data = answer.read()
        took_ms = (time.perf_counter() - begun) * 1000
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"{method} {path} answered {answer.status}: {data[:500]}")
        return json.loads(data or b"null"), took_ms

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


def disk_ms(folder, size, count):
    """fsync of an appended record, `count` times."""
    times = []
    with open(folder / "records", "wb", buffering=0) as target:
        for _ in range(count):
            begun = time.perf_counter()
            target.write(b"x" * size)
            os.fsync(target.fileno())
            times.append((time.perf_counter() - begun) * 1000)
    return times


def row(model, metric, times):
    ordered = sorted(times)
    found = {"p50_ms": ordered[len(ordered) // 2], "p99_ms": ordered[int(len(ordered) * 0.99)], "max_ms": ordered[-1]}
    column, most = WANTED_MS.get(metric, ("p99_ms", None))
    verdict = "" if most is None else f"  wanted {column} below {most}: {'yes' if found[column] < most else 'NO'}"
    print(f"{model:10} {metric:38} " + " ".join(f"{key} {value:7.2f}" for key, value in found.items()) + verdict)
    return {"model": model, "metric": metric, "n": len(times), **{key: f"{value:.3f}" for key, value in found.items()}}


def while_loading(server, rounds):
    """A picture of one step with its model unloaded before, again and again; asked all the time."""
    times = []
    for seed in range(rounds):
        server.ask("POST", "/free", {"unload_models": True, "free_memory": True})
        server.ask("POST", "/prompt", {"prompt": graph("model.safetensors", 64, 1, seed)})
        while server.ask("GET", "/prompt")[0]["exec_info"]["queue_remaining"]:
            times.append(server.ask("GET", "/system_stats")[1])
    return times


def while_drawing(server, options):
    """(metric, times) of each route while one picture takes every core; the prompts that are accepted stay in line."""
    server.ask("POST", "/prompt", {"prompt": graph("model.safetensors", options.side, 9999, 1)})
    posts = [server.ask("POST", "/prompt", {"prompt": graph("model.safetensors", options.side, 20, 2 + i)})[1]
             for i in range(options.posts)]
    yield "prompt while a picture is drawn", posts
    for path in ("system_stats", "object_info", "queue"):
        yield f"{path} while a picture is drawn", [server.ask("GET", "/" + path)[1] for _ in range(200)]
    if not server.ask("GET", "/queue")[0]["queue_running"]:
        raise SystemExit("the picture ended before the measurement did: use a larger --side")


def measure(options, name, path):
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        folder = pathlib.Path(made)
        rows = [row(name, "disk", disk_ms(folder, 8192, 200))]
        server = Server(options, folder, path)
        try:
            rows.append(row(name, "system_stats while a model loads", while_loading(server, 10)))
            rows += [row(name, metric, times) for metric, times in while_drawing(server, options)]
        finally:
            server.stop()
        return rows


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_options(parser)
    parser.add_argument("--posts", type=int, default=500)
    parser.add_argument("--side", type=int, default=512, help="of the picture that is drawn meanwhile")
    parser.add_argument("--folder", type=pathlib.Path, help="where the server keeps its files; the system's by default")
    options = parse(parser, arguments)
    results = Results("server_latency", options, FIELDS)
    rows = [found for name, path in options.models for found in measure(options, name, pathlib.Path(path))]
    results.write(rows)
    print(f"written to {results.path}")


if __name__ == "__main__":
    main(sys.argv[1:])
