#!/usr/bin/env python3
"""Loading at disk speed: a model through `hearth bench llm --load-only` beside `hearth bench disk` on the same file.

    bench/load_speed.py [--type q4_k|q8_0|f16 ...] [--size 4] [--pairs 5] [--device cuda:0] [--folder DIR]

Makes a GGUF file of the shape of Llama 3 8B, as many layers as fill --size GiB, of random bytes; measures in pairs, of
which the other one goes first each time, with caches dropped before every run where root may. The disk is read into one
buffer, again and again; after every pair also into as many as a load needs (`--buffers`), and nothing is done with
them: what a load could reach on this machine. Beside the ratios of the medians: how much the page cache grew, how much
of the file it holds, and the peak of resident memory over weights, state and arena, which is the ring and the program
itself. Every run goes into a CSV under bench/results/.

Before every run, of the disk too, as much memory as the model takes is written to and given back: a virtual machine
may get pages from its host more slowly than a disk gives bytes the first time, and that would be measured instead.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import struct
import subprocess
import sys

from common import Results, built_hearth, run

DIM, HEADS, KV_HEADS, FFN, VOCAB = 4096, 32, 8, 14336, 8192
ALIGNMENT = 32
F32 = 0
TYPES = {"f16": (1, 1, 2), "q8_0": (8, 32, 34), "q4_0": (2, 32, 18), "q4_k": (12, 256, 144), "q6_k": (14, 256, 210)}
FIELDS = ["type", "device", "order", "what", "run", "gib_per_s", "seconds", "cached_growth_mib", "file_cached_mib",
          "peak_over_held_mib"]
GIB, MIB = 2**30, 2**20
RING = 48  # blocks of a load's ring
MADV_POPULATE_WRITE = 23  # Linux 5.14; Python has no name for it


def gguf_text(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


class Gguf:
    """A GGUF file of version 3: numbers, text and lists of text; tensors of random bytes."""

    def __init__(self):
        self.metadata, self.tensors, self.size = [], [], 0

    def put(self, key, value):
        if isinstance(value, int):
            data = struct.pack("<II", 4, value)
        elif isinstance(value, float):
            data = struct.pack("<If", 6, value)
        elif isinstance(value, str):
            data = struct.pack("<I", 8) + gguf_text(value)
        else:
            data = struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(gguf_text, value))
        self.metadata.append(gguf_text(key) + data)

    def tensor(self, name, number, rows, columns, size):
        shape = [columns] if rows is None else [columns, rows]
        self.tensors.append(gguf_text(name + ".weight") + struct.pack("<I", len(shape)) +
                            struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", number, self.size))
        self.size += -(-size // ALIGNMENT) * ALIGNMENT

    def write(self, path):
        head = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.metadata))
        head += b"".join(self.metadata) + b"".join(self.tensors)
        numbers = random.Random(1)
        with open(path, "wb") as out:
            out.write(head + b"\0" * (-len(head) % ALIGNMENT))
            left = self.size
            while left > 0:
                part = min(left, 16 * MIB)
                out.write(numbers.randbytes(part))
                left -= part
            out.flush()
            os.fsync(out.fileno())


def write_model(path, kind, size):
    number, per_block, block_bytes = TYPES[kind]
    file = Gguf()

    def matrix(name, rows, columns):
        file.tensor(name, number, rows, columns, rows * columns // per_block * block_bytes)

    def norm(name):
        file.tensor(name, F32, None, DIM, DIM * 4)

    matrix("token_embd", VOCAB, DIM)
    norm("output_norm")
    layers = 0
    while file.size < size:
        at = f"blk.{layers}."
        norm(at + "attn_norm")
        norm(at + "ffn_norm")
        matrix(at + "attn_q", DIM, DIM)
        matrix(at + "attn_k", DIM * KV_HEADS // HEADS, DIM)
        matrix(at + "attn_v", DIM * KV_HEADS // HEADS, DIM)
        matrix(at + "attn_output", DIM, DIM)
        matrix(at + "ffn_gate", FFN, DIM)
        matrix(at + "ffn_up", FFN, DIM)
        matrix(at + "ffn_down", DIM, FFN)
        layers += 1
    for key, value in (("general.architecture", "llama"), ("llama.embedding_length", DIM),
                       ("llama.block_count", layers), ("llama.attention.head_count", HEADS),
                       ("llama.attention.head_count_kv", KV_HEADS), ("llama.feed_forward_length", FFN),
                       ("llama.context_length", 2048), ("llama.attention.layer_norm_rms_epsilon", 1e-5),
                       ("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.pre", "gpt-2"),
                       ("tokenizer.ggml.tokens", [f"t{i}" for i in range(VOCAB)]), ("tokenizer.ggml.merges", []),
                       ("tokenizer.ggml.bos_token_id", 0), ("tokenizer.ggml.eos_token_id", 1)):
        file.put(key, value)
    file.write(path)


def drop_caches():
    try:
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
        return True
    except OSError:
        return False


def cached_bytes():
    with open("/proc/meminfo", encoding="ascii") as source:
        return next(int(line.split()[1]) * 1024 for line in source if line.startswith("Cached:"))


def file_cached_bytes(path):
    """What the page cache holds of the file, where util-linux can tell."""
    try:
        return int(subprocess.run(["fincore", "-b", "-n", "-o", "RES", path], capture_output=True, check=True,
                                  text=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def touch_memory(size):
    """In a process of its own, so that all of it is given back: twice, until what comes is what was there before."""
    code = f"""
import mmap
for _ in range(2):
    with mmap.mmap(-1, {size}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        held.madvise(mmap.MADV_HUGEPAGE)
        held.madvise({MADV_POPULATE_WRITE})
"""
    run([sys.executable, "-c", code])


def measured(path, command):
    """The program's JSON, and what became of the page cache meanwhile."""
    drop_caches()
    touch_memory(os.path.getsize(path) + GIB)
    before = cached_bytes()
    out, _ = run(command)
    result = json.loads(out[out.index("{"):])
    held = file_cached_bytes(path)
    return result, {"cached_growth_mib": f"{(cached_bytes() - before) / MIB:.1f}",
                    "file_cached_mib": "" if held is None else f"{held / MIB:.1f}"}


def measure_disk(options, path, what="disk", buffers=1):
    result, cache = measured(path, [options.hearth, "bench", "disk", path, "--json", "--buffers", buffers])
    return {"what": what, "gib_per_s": result["gib_per_s"], "seconds": result["seconds"], **cache}


def measure_load(options, path):
    command = [options.hearth, "bench", "llm", "-m", path, "--load-only", "--json", "--device", options.device,
               "--threads", options.threads]
    result, cache = measured(path, command)
    held = result["weights_bytes"] + result["state_bytes"] + result["arena_bytes"] if options.device == "cpu" else 0
    over = (result["peak_rss_bytes"] - held) / MIB
    return {"what": "load", "gib_per_s": os.path.getsize(path) / GIB / result["load_s"], "seconds": result["load_s"],
            "peak_over_held_mib": f"{over:.1f}", **cache}


def measure_dd(path):
    drop_caches()
    touch_memory(os.path.getsize(path) + GIB)
    timed = subprocess.run(["dd", f"if={path}", "of=/dev/null", "bs=16M"], capture_output=True, text=True, check=True,
                           env={**os.environ, "LC_ALL": "C"}).stderr
    seconds = float(timed.split(" copied, ")[1].split(" s")[0])
    return {"what": "dd", "gib_per_s": os.path.getsize(path) / GIB / seconds, "seconds": seconds}


def rows_of(options, kind, path):
    rows = []
    for pair in range(options.pairs):
        both = [measure_disk, measure_load]
        for order, measure in enumerate(both if pair % 2 == 0 else both[::-1], 1):
            rows.append({"run": pair + 1, "order": order, **measure(options, path)})
            print(f"{kind:5} pair {pair + 1} {rows[-1]['what']:5} {rows[-1]['gib_per_s']:.2f} GiB/s", flush=True)
        rows.append({"run": pair + 1, "order": 3, **measure_disk(options, path, "ring", RING)})
    rows.append({"run": 1, "order": "", **measure_dd(path)})
    median = {what: statistics.median(row["gib_per_s"] for row in rows if row["what"] == what)
              for what in ("disk", "load", "ring", "dd")}
    loads = [row for row in rows if row["what"] == "load"]
    over = max(float(row["peak_over_held_mib"]) for row in loads)
    growth = max(float(row["cached_growth_mib"]) for row in loads)
    held = max(float(row["file_cached_mib"] or 0) for row in loads)
    print(f"{kind:5} load {median['load']:.2f} GiB/s, disk {median['disk']:.2f}, into a ring {median['ring']:.2f}, dd "
          f"bs=16M {median['dd']:.2f}: {median['load'] / median['disk']:.3f} of the disk, "
          f"{median['load'] / median['ring']:.3f} of the ring; peak over weights, state and arena {over:.0f} MiB; the "
          f"page cache grew by at most {growth:.0f} MiB and held {held:.0f} MiB of the file")
    return [{"type": kind, "device": options.device, **row, "gib_per_s": f"{row['gib_per_s']:.4g}",
             "seconds": f"{row['seconds']:.4g}"} for row in rows]


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--type", action="append", choices=sorted(TYPES), help="q4_k by default")
    parser.add_argument("--size", type=float, default=4, help="GiB of the model")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path.cwd(), help="on the disk in question")
    parser.add_argument("--hearth", type=pathlib.Path, default=built_hearth())
    parser.add_argument("--device", default="cpu", help="where the model goes: cpu or cuda:N")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=pathlib.Path, help="the CSV file to write")
    options = parser.parse_args(arguments)
    if not drop_caches():
        print("warning: only root drops caches; the figures of dd may be of memory", file=sys.stderr)
    results = Results("load_speed", options, FIELDS)
    rows = []
    for kind in options.type or ["q4_k"]:
        path = options.folder / f"load_speed-{kind}.gguf"
        try:
            write_model(path, kind, options.size * GIB)
            rows += rows_of(options, kind, path)
        finally:
            path.unlink(missing_ok=True)
        results.write(rows)
    print(f"all runs: {results.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
