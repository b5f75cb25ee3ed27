#!/usr/bin/env python3
"""Random loads, unloads, chats and pictures under a small budget, and what memory says meanwhile.

    bench/memory_soak.py --model a=PATH.gguf --model b=PATH.gguf [--steps 1000] [--budget-mib 360] [--seed 1]

At rest points the memory of the process that no file backs must be the leases and what an idle server holds, within
3 % or 64 MiB; leases never exceed the budget; after the last step and after the warm-up an empty server holds the same.
Rows go into a CSV under bench/results/. The same checks, with fewer steps, are a test (tests/e2e/test_memory_soak.py).
"""

import argparse
import json
import os
import pathlib
import random
import re
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "bench"), str(ROOT / "tests" / "e2e"), str(ROOT / "tests" / "server")]
from common import Results, add_common_options, parse  # noqa: E402
from comfy_process import ComfyHearth  # noqa: E402
from hearth_process import profile  # noqa: E402

FIELDS = ["steps", "budget_mib", "peak_leased_mib", "idle_mib", "worst_difference_mib", "left_behind_mib", "evictions",
          "refusals", "seconds"]

MIB = 1 << 20
REST_EVERY = 25
WORDS = ["a red star", "a blue house on a hill", "a cat", "one tree in snow", "a ship"]
SPRITE = "sprite.safetensors"


def within(a, b, whole):
    return abs(a - b) <= max(0.03 * whole, 64 * MIB)


class Soak:
    """One server, one seed. `server` answers request(method, path, body) with (status, headers, bytes)."""

    def __init__(self, server, models, seed, checkpoint=SPRITE):
        self.server, self.models, self.checkpoint = server, models, checkpoint
        self.random = random.Random(seed)
        self.counts, self.refusals, self.last_refusal, self.rests = {}, 0, "", []
        self.worst = 0
        self.free_everything()
        self.run(8)  # one of each at least: pools of threads, caches of the C library
        self.free_everything()
        first = self.report()
        self.baseline = first["process"]["anonymous_bytes"] - first["pools"][0]["leased_bytes"]
        self.first_empty = first["process"]["anonymous_bytes"]
        self.counts.clear()

    def report(self):
        return json.loads(self.server.request("GET", "/memory")[2])

    def post(self, path, body):
        status, _, data = self.server.request("POST", path, json.dumps(body))
        if status == 503:
            assert json.loads(data)["error"]["code"] == "no_memory", data
            self.refusals += 1
            self.last_refusal = json.loads(data)["error"]["message"]
        else:
            assert status == 200, (path, status, data[:500])
        return status

    def chat(self):
        self.post("/v1/completions", {"model": self.random.choice(self.models), "prompt": "word " * self.random.choice(
            [1, 20, 150]), "max_tokens": self.random.randint(1, 6), "ignore_eos": True})

    def picture(self):
        self.post("/v1/images/generations", {"prompt": self.random.choice(WORDS), "model": self.checkpoint,
                                             "size": self.random.choice(["64x64", "128x128", "128x64", "192x192"]),
                                             "n": self.random.choice([1, 1, 2]), "steps": 1,
                                             "seed": self.random.randint(1, 1 << 30)})

    def unload(self):
        self.post("/memory/free", {"model": self.random.choice(self.models)})

    def free(self):
        self.server.request("POST", "/free", json.dumps({"unload_models": True,
                                                         "free_memory": self.random.random() < 0.5}))

    def run(self, steps):
        kinds = {self.chat: 50, self.picture: 25, self.unload: 15, self.free: 10}
        for _ in range(steps):
            kind = self.random.choices(list(kinds), list(kinds.values()))[0]
            kind()
            self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1

    def is_quiet(self):
        text = self.server.request("GET", "/metrics")[2].decode()
        running = sum(float(value) for value in re.findall(r"^hearth_requests_(?:running|waiting) (\S+)$", text, re.M))
        waiting = json.loads(self.server.request("GET", "/prompt")[2])["exec_info"]["queue_remaining"]
        return running == 0 and waiting == 0

    def wait_quiet(self):
        end = time.monotonic() + 60
        while not self.is_quiet():
            assert time.monotonic() < end, "requests never end"

    def free_everything(self):
        self.wait_quiet()
        end = time.monotonic() + 60
        while True:
            self.server.request("POST", "/free", json.dumps({"unload_models": True, "free_memory": True}))
            if self.report()["pools"][0]["leased_bytes"] == 0:
                return
            assert time.monotonic() < end, self.report()["pools"][0]["leases"]

    def rest(self):
        self.wait_quiet()
        report = self.report()
        pool, held = report["pools"][0], report["process"]["anonymous_bytes"]
        expected = pool["leased_bytes"] + self.baseline
        self.worst = max(self.worst, abs(held - expected))
        self.rests.append((held, pool["leased_bytes"]))
        assert within(held, expected, held), f"{held / MIB:.0f} MiB are held, {expected / MIB:.0f} are accounted for"
        assert pool["peak_leased_bytes"] <= pool["budget_bytes"], pool
        return report

    def finish(self):
        """What an empty server holds more than after the warm-up."""
        self.rest()
        self.free_everything()
        return self.report()["process"]["anonymous_bytes"] - self.first_empty


def soak(server, models, steps, seed, say=lambda text: None):
    work = Soak(server, models, seed)
    for done in range(0, steps, REST_EVERY):
        work.run(min(REST_EVERY, steps - done))
        report = work.rest()
        say(f"{done + REST_EVERY:5} steps: {report['process']['anonymous_bytes'] / MIB:7.1f} MiB held, "
            f"{report['pools'][0]['leased_bytes'] / MIB:7.1f} leased, {work.baseline / MIB:.1f} at idle, "
            f"{report['pools'][0]['evictions']} evictions, {work.refusals} refusals {work.last_refusal}")
    return work, work.finish()


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_options(parser)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--budget-mib", type=int, default=360)
    parser.add_argument("--seed", type=int, default=1)
    options = parse(parser, arguments)
    os.environ["HEARTH_BIN"] = str(options.hearth.resolve().parent)
    results = Results("memory_soak", options, FIELDS)
    config = "".join(profile(name, pathlib.Path(path).resolve(), "context = 256") for name, path in options.models)
    limit = f'[memory]\nbudget = "{options.budget_mib}MiB"'
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ComfyHearth(pathlib.Path(folder) / "server", config, limit) as server:
        work, leaked = soak(server, [name for name, _ in options.models], options.steps, options.seed, print)
        pool = work.report()["pools"][0]
    results.write([{"steps": options.steps, "budget_mib": options.budget_mib,
                    "peak_leased_mib": round(pool["peak_leased_bytes"] / MIB, 1),
                    "idle_mib": round(work.baseline / MIB, 1), "worst_difference_mib": round(work.worst / MIB, 1),
                    "left_behind_mib": round(leaked / MIB, 1), "evictions": pool["evictions"],
                    "refusals": work.refusals, "seconds": round(time.monotonic() - begun, 1)}])
    print(f"worst difference {work.worst / MIB:.1f} MiB, left behind {leaked / MIB:.1f} MiB: {results.path}")


if __name__ == "__main__":
    main(sys.argv[1:])
