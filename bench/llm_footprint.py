#!/usr/bin/env python3
"""Memory and start of a language model: peak resident bytes after a long prompt, and a warm load to the first token.

    bench/llm_footprint.py --model smollm2=PATH.gguf [--model NAME=PATH ...] [--runs 5]

Each run is a process of its own: it loads the model (whose file is in the page cache), prefills 2,048 tokens and
decodes one. `rss_over_held` is the peak resident set divided by weights, state and arena. Every run goes into a CSV
under bench/results/; medians close it.
"""

import argparse
import statistics
import sys

from common import Results, add_common_options, parse, run_hearth

PROMPT = 2048
FIELDS = ["model", "metric", "run", "value"]
BYTES = ["weights_bytes", "state_bytes", "arena_bytes", "peak_rss_bytes"]


def measure(options, path):
    figures = run_hearth(options, path, "--prompt", PROMPT, "--generate", 1, "--repeat", 1)
    found = {metric: figures[metric] for metric in [*BYTES, "load_s", "first_token_s"]}
    held = figures["weights_bytes"] + figures["state_bytes"] + figures["arena_bytes"]
    return {**found, "rss_over_held": figures["peak_rss_bytes"] / held}


def rows_of(options, name, path):
    runs = [measure(options, path) for _ in range(options.runs)]
    rows = [{"model": name, "metric": metric, "run": i + 1, "value": f"{run[metric]:.10g}"}
            for i, run in enumerate(runs) for metric in run]
    for metric in runs[0]:
        value = statistics.median(run[metric] for run in runs)
        rows.append({"model": name, "metric": metric, "run": "median", "value": f"{value:.10g}"})
        shown = f"{value / 2**20:.1f} MiB" if metric in BYTES else f"{value:.3f}"
        print(f"{name:12} {metric:16} {shown}")
    return rows


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_options(parser)
    parser.add_argument("--runs", type=int, default=5)
    options = parse(parser, arguments)
    results = Results("llm_footprint", options, FIELDS)
    rows = []
    for name, path in options.models:
        rows += rows_of(options, name, path)
        results.write(rows)
    print(f"all runs: {results.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
