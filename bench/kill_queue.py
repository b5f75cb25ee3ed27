#!/usr/bin/env python3
"""A queue of pictures whose server is killed again and again: every job ends once and every file is whole.

    bench/kill_queue.py --checkpoint PATH.safetensors [--jobs 100] [--kills 15] [--steps 4] [--seed 1]

Queues the jobs, then ends the server with SIGKILL at random moments and starts it again on the same folders until at
least `--kills` kills have happened and the queue is empty. Then it looks at what is left: each job is in the history
exactly once, each file the history names opens as a PNG with its prompt and workflow, and there is no other file. A
row goes into a CSV under bench/results/.
"""

import argparse
import json
import os
import pathlib
import random
import struct
import sys
import tempfile
import time
import zlib

from common import Results, built_hearth
from serve import Server, is_success, workflow

FIELDS = ["jobs", "kills", "steps", "size", "completed", "interrupted_twice", "files", "seconds", "restart_p50_ms",
          "restart_max_ms", "faults"]


def png_texts(path):
    """The text chunks of a PNG whose every checksum and whose pixels are right; raises otherwise."""
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("no PNG")
    at, texts, pixels, kind = 8, {}, b"", b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if zlib.crc32(kind + body) != struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0]:
            raise ValueError(f"checksum of {kind.decode()}")
        if kind == b"tEXt":
            key, _, text = body.partition(b"\0")
            texts[key.decode("latin-1")] = text.decode("latin-1")
        if kind == b"IDAT":
            pixels += body
        at += 12 + length
    if kind != b"IEND" or not zlib.decompress(pixels):
        raise ValueError("cut off")
    return texts


def faults_of(server, ids, seeds):
    """What is wrong, in words; and counts of completed and of given-up jobs and of files."""
    history, faults, named = server.history(), [], []
    if sorted(history) != sorted(ids):
        faults.append(f"history has {len(history)} entries for {len(ids)} jobs")
    if server.get("/prompt")["exec_info"]["queue_remaining"] != 0:
        faults.append("the queue is not empty")
    completed = 0
    for prompt_id in ids:
        entry = history.get(prompt_id)
        if entry is None:
            continue
        images = [image for output in entry["outputs"].values() for image in output.get("images", [])]
        if not is_success(entry):
            kinds = [data.get("exception_type") for kind, data in entry["status"]["messages"]
                     if kind == "execution_error"]
            if kinds != ["hearth.InterruptedByCrash"]:
                faults.append(f"{prompt_id} ended with {kinds}")
            continue
        completed += 1
        if len(images) != 1:
            faults.append(f"{prompt_id} lists {len(images)} pictures")
        for image in images:
            path = server.folder / "output" / image["subfolder"] / image["filename"]
            named.append(path)
            try:
                texts = png_texts(path)
                seed = json.loads(texts["prompt"])["5"]["inputs"]["seed"]
                if seed != seeds[prompt_id] or "nodes" not in json.loads(texts["workflow"]):
                    faults.append(f"{path.name} carries another job's words")
            except (OSError, ValueError, KeyError, zlib.error) as problem:
                faults.append(f"{path.name}: {problem!r}")
    if len(set(named)) != len(named):
        faults.append("two jobs name one file")
    there = [path for kind in ("output", "temp") for path in (server.folder / kind).rglob("*") if path.is_file()]
    faults += [f"{path.name} belongs to no job" for path in set(there) - set(named)]
    return faults, completed, len(ids) - completed, len(there)


def torture(options, folder):
    """One row of figures, and the faults."""
    source = random.Random(options.seed)
    start = lambda: Server(options.hearth, folder, [], options.checkpoint, options.threads)  # noqa: E731
    server, seeds, kills, restarts = start(), {}, 0, []
    for number in range(options.jobs):
        prompt = workflow(server.checkpoint, options.size, options.steps, seed=number)
        extra = {"extra_pnginfo": {"workflow": {"nodes": [], "number": number}}}
        seeds[server.queue(prompt, extra_data=extra)] = number
    begun = time.perf_counter()
    while True:
        left = server.get("/prompt")["exec_info"]["queue_remaining"]
        if left == 0:
            break
        # As many jobs between two kills as leave enough of them for the kills still to come.
        wanted = max(left - source.uniform(0, 2 * left / max(options.kills - kills, 1)), 0)
        while server.get("/prompt")["exec_info"]["queue_remaining"] > wanted:
            time.sleep(0.005)
        time.sleep(source.uniform(0, options.spread))
        server.kill()
        kills += 1
        again = time.perf_counter()
        server = start()
        restarts.append((time.perf_counter() - again) * 1000)
    faults, completed, given_up, files = faults_of(server, list(seeds), seeds)
    server.stop()
    restarts.sort()
    return {"jobs": options.jobs, "kills": kills, "steps": options.steps, "size": options.size, "completed": completed,
            "interrupted_twice": given_up, "files": files, "seconds": round(time.perf_counter() - begun, 1),
            "restart_p50_ms": round(restarts[len(restarts) // 2], 1), "restart_max_ms": round(restarts[-1], 1),
            "faults": len(faults)}, faults


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True, help="the picture model")
    parser.add_argument("--hearth", type=pathlib.Path, default=built_hearth(), help="what ./run built by default")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--spread", type=float, default=0.5, help="seconds within which a kill comes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, help="the CSV file to write")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        row, faults = torture(options, folder)
    results = Results("kill_queue", options, FIELDS)
    results.write([row])
    print(f"{row['jobs']} jobs, {row['kills']} kills, {row['seconds']} s: {row['completed']} completed, "
          f"{row['interrupted_twice']} given up after two interruptions, {row['files']} files; ready again after "
          f"{row['restart_p50_ms']} ms (median), {row['restart_max_ms']} ms (most)")
    print(*(faults or ["nothing is missing, doubled or left over"]), sep="\n")
    print(f"the row: {results.path}")
    return 0 if not faults and row["kills"] >= options.kills else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
