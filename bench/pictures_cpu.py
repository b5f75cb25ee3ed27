#!/usr/bin/env python3
"""Pictures on the CPU beside diffusers: same checkpoint, tokens, noise and levels, float32, pairs in alternating order.

    bench/pictures_cpu.py --model NAME=PATH.safetensors --peer-python PYTHON [--size 512] [--batch 1] [--pairs 3]

PATH is a checkpoint of SDXL's layout; PYTHON has torch, diffusers and transformers. A figure is a whole picture (words,
20 steps with guidance, decoding), warm: both engines draw once before the clock starts. The peer runs with its maps in
both memory orders and its better median counts. Both draw the same picture: how far they are apart is in the table.
Every run goes into a CSV under bench/results/ with machine, date and commit; medians and ratios close it. Run it on a
quiet machine.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from common import ROOT, Results, add_common_options, parse, run

STEPS = 20
PHASES = ["text", "denoise", "decode", "total"]
FIELDS = ["model", "size", "batch", "phase", "engine", "option", "pair", "seconds", "gflops", "psnr_db", "peak_rss_mb",
          "weights_mb"]


def pinned(options, command):
    """A command kept to as many cores as it has threads."""
    cores = sorted(os.sched_getaffinity(0))[:options.threads]
    return ["taskset", "-c", ",".join(map(str, cores)), *command]


def draw_ours(options, path, size, batch, folder):
    """What hearth prints; leaves answer.json and picture.npy in the folder for the peer."""
    out, _ = run(pinned(options, [options.hearth, "bench", "picture", "-m", path, "--size", f"{size}x{size}", "--batch",
                                  batch, "--steps", STEPS, "--threads", options.threads, "--repeat", options.repeat,
                                  "-o", folder / "picture.npy", "--json"]))
    answer = json.loads(out[out.index("{"):])
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
    return answer


def draw_theirs(options, path, size, batch, folder, order):
    command = [options.peer_python, ROOT / "bench/pictures_peer.py", path, folder / "answer.json",
               folder / "picture.npy", "--size", f"{size}x{size}", "--batch", batch, "--threads", options.threads,
               "--repeat", options.repeat, "--count"]
    out, _ = run(pinned(options, command + (["--channels-last"] if order == "channels-last" else [])))
    return json.loads(out[out.index("{"):])


def peak_gflops(options):
    """Multiply-adds the machine can do, from bench_ops_conv beside the program (-DHEARTH_BENCH=ON); 0 if unbuilt."""
    program = options.hearth.parent / "bench_ops_conv"
    if not program.exists():
        return 0
    out, _ = run(pinned(options, [program, options.threads, "nothing"]))
    return float(out.split("multiply-adds", 1)[1].split()[0])


def measure_memory(options, path, size):
    """Peak resident megabytes of one `hearth imagine` of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = pinned(options, [options.hearth, "imagine", "a red apple", "-m", path, "--steps", 2, "--size",
                                   f"{size}x{size}", "--seed", 1, "--no-preview", "-o", f"{folder}/picture.png"])
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"hearth imagine ended with {process.returncode}")
    return usage.ru_maxrss * 1024 / 1e6


def measure_pairs(options, name, path, size, batch):
    """Rows of all runs; the engine that goes first changes from pair to pair. Operations are counted by the peer."""
    rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        draw_ours(options, path, size, batch, folder)  # the peer needs an answer to go first
        for pair in range(options.pairs):
            runs = [("hearth", "")] + [("diffusers", order) for order in ("contiguous", "channels-last")]
            work = {}
            for engine, option in runs if pair % 2 == 0 else reversed(runs):
                if engine == "hearth":
                    figures = draw_ours(options, path, size, batch, folder)
                else:
                    figures = draw_theirs(options, path, size, batch, folder, option)
                    work = figures["flops"]
                    work["total"] = sum(work[phase] for phase in PHASES[:3])
                    if figures["psnr_db"] < options.least_psnr:
                        raise SystemExit(f"{name} {size}x{size}: the pictures are {figures['psnr_db']:.1f} dB apart: "
                                         "not the same work")
                rows += [{"model": name, "size": size, "batch": batch, "phase": phase, "engine": engine,
                          "option": option, "pair": pair + 1, "seconds": round(figures[f"{phase}_s"], 4),
                          "psnr_db": round(figures["psnr_db"], 1) if "psnr_db" in figures else ""}
                         for phase in PHASES]
            for row in rows:
                if row["pair"] == pair + 1:
                    row["gflops"] = round(work[row["phase"]] / row["seconds"] * 1e-9, 1)
            print(f"{name} {size}x{size}, batch {batch}: pair {pair + 1} of {options.pairs} done", file=sys.stderr)
    return rows


def summarise(rows):
    """Medians of every figure, and the peer's best median divided by ours."""
    summary = []
    for case in dict.fromkeys((row["model"], row["size"], row["batch"], row["phase"]) for row in rows):
        best = {}
        for engine, option in dict.fromkeys((row["engine"], row["option"]) for row in rows):
            runs = [row for row in rows
                    if (row["model"], row["size"], row["batch"], row["phase"]) == case
                    and (row["engine"], row["option"]) == (engine, option)]
            median = statistics.median(row["seconds"] for row in runs)
            summary.append(dict(runs[0], pair="median", seconds=median,
                                gflops=statistics.median(row["gflops"] for row in runs)))
            best[engine] = min(best.get(engine, median), median)
        summary.append({"model": case[0], "size": case[1], "batch": case[2], "phase": case[3],
                        "engine": "diffusers/hearth", "pair": "ratio",
                        "seconds": round(best["diffusers"] / best["hearth"], 3)})
    return summary


def print_summary(summary, peak):
    print(f"{'model':8} {'size':>5} {'batch':>5} {'phase':8} {'hearth s':>9} {'diffusers s':>11} {'ratio':>6} "
          f"{'GFLOP/s':>8} {'of peak':>8}")
    table = {}
    for row in summary:
        table.setdefault((row["model"], row["size"], row["batch"], row["phase"]), []).append(row)
    for (model, size, batch, phase), rows in table.items():
        ours = next(row for row in rows if row["engine"] == "hearth")
        theirs = min(row["seconds"] for row in rows if row["engine"] == "diffusers")
        ratio = next(row for row in rows if row["pair"] == "ratio")
        share = f"{100 * ours['gflops'] / peak:.0f}%" if peak else "-"
        print(f"{model:8} {size:>5} {batch:>5} {phase:8} {ours['seconds']:>9.3f} {theirs:>11.3f} "
              f"{ratio['seconds']:>6.2f} {ours['gflops']:>8.0f} {share:>8}")


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_options(parser)
    parser.add_argument("--peer-python", required=True, help="a Python with torch, diffusers and transformers")
    parser.add_argument("--size", type=int, action="append", help="pixels a side; 128, 256 and 512 by default")
    parser.add_argument("--batch", type=int, action="append", help="pictures at once; 1 and 4 by default")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=3, help="pictures of a run; their median counts")
    parser.add_argument("--least-psnr", type=float, default=60, help="dB; pictures further apart are not compared")
    options = parse(parser, arguments)
    results = Results("pictures_cpu", options, FIELDS)
    rows, memory = [], []
    for name, path in options.models:
        for size in options.size or [128, 256, 512]:
            for batch in options.batch or [1, 4]:
                rows += measure_pairs(options, name, path, size, batch)
                results.write(rows)  # a run that is cut short keeps what it has
        memory.append({"model": name, "size": 512, "batch": 1, "phase": "memory", "engine": "hearth", "pair": 1,
                       "peak_rss_mb": round(measure_memory(options, path, 512), 1),
                       "weights_mb": round(os.path.getsize(path) / 1e6, 1)})
    summary = summarise(rows)
    results.write(rows + summary + memory)
    print_summary(summary, peak_gflops(options))
    for row in memory:
        print(f"{row['model']}: {row['peak_rss_mb']} MB at the most at 512x512, weights {row['weights_mb']} MB")
    print(f"all runs: {results.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
