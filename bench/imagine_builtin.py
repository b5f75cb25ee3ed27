#!/usr/bin/env python3
"""Time and memory of a picture of the built-in model: 128x128, 20 steps, with a guidance scale, a process a run.

    bench/imagine_builtin.py [--runs 5] [--threads 2]

`process_s` is the whole process from its start to its end, loading included; `peak_rss_over_weights_bytes` is the peak
resident set less the model's file. Every run goes into a CSV under bench/results/; medians close it. Exits 1 when a
median is above its bar: 6 s, and 300 MB over the weights.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from common import Results, built_hearth

MODEL = "share/hearth/models/checkpoints/sprite.safetensors"
FIELDS = ["model", "metric", "run", "value"]
BARS = {"process_s": 6.0, "peak_rss_over_weights_bytes": 300e6}


def draw(options, folder):
    """(seconds, peak resident bytes) of one process."""
    command = [options.hearth, "imagine", "a red apple", "--seed", "1", "--steps", "20", "--size", "128x128",
               "--threads", str(options.threads), "--no-preview", "-m", options.weights, "-o", folder / "apple.png"]
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    begun = time.monotonic()
    running = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True, env=environment,
                               stdout=subprocess.DEVNULL, cwd=folder)
    said = running.stderr.read()
    _, status, used = os.wait4(running.pid, 0)
    seconds = time.monotonic() - begun
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode != 0:
        raise SystemExit(f"hearth imagine ended with {running.returncode}:\n{said[-2000:]}")
    return seconds, used.ru_maxrss * 1024


def measure(options, folder, weights):
    whole, peak = draw(options, folder)
    return {"process_s": whole, "peak_rss_bytes": peak, "peak_rss_over_weights_bytes": peak - weights}


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hearth", type=pathlib.Path, default=built_hearth(), help="the program; what ./run built")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, help="the CSV file to write")
    options = parser.parse_args(arguments)
    options.hearth = options.hearth.resolve()  # a run has a folder of its own
    options.weights = options.hearth.parent.parent / MODEL
    weights = options.weights.stat().st_size
    if os.getloadavg()[0] > 0.5:
        print(f"warning: the load is {os.getloadavg()[0]:.2f}; figures of a busy machine mislead", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        runs = [measure(options, pathlib.Path(folder), weights) for _ in range(options.runs)]
    rows = [{"model": "sprite", "metric": metric, "run": i + 1, "value": f"{run[metric]:.10g}"}
            for i, run in enumerate(runs) for metric in run]
    missed = []
    for metric in runs[0]:
        value = statistics.median(run[metric] for run in runs)
        rows.append({"model": "sprite", "metric": metric, "run": "median", "value": f"{value:.10g}"})
        shown = f"{value / 1e6:.1f} MB" if metric.endswith("bytes") else f"{value:.2f} s"
        print(f"{metric:28} {shown}")
        if value > BARS.get(metric, value):
            missed.append(metric)
    results = Results("imagine_builtin", options, FIELDS)
    results.write(rows)
    print(f"all runs: {results.path}")
    for metric in missed:
        print(f"above its bar: {metric}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
