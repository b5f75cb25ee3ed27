#!/usr/bin/env python3
"""Language model speed on the CPU beside llama.cpp: same files, same threads, KV in f16, pairs in alternating order.

    bench/llm_cpu.py --model smollm2=PATH.gguf [--model NAME=PATH ...] [--threads N] [--pairs 5]

Measures decode (128 tokens of one stream), prefill (512 tokens) and aggregate decode of four parallel streams. The
peer runs with flash attention on and off and its better median counts. Every run goes into a CSV under bench/results/
with machine, date and commit; medians and ratios close it and are printed. Run it on a quiet machine.
"""

import argparse
import json
import statistics
import sys

from common import Results, add_common_options, add_peer_option, parse, run, run_hearth

PROMPT, GENERATE = 512, 128
METRICS = ["decode", "prefill", "aggregate"]
FIELDS = ["streams", "model", "metric", "engine", "option", "pair", "tokens_per_s"]


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def measure_ours(options, path):
    """{(metric, option): tokens/s} of one run of this project: one stream alone, then the parallel ones."""
    found = {}
    for parallel, metrics in ((1, ["prefill", "decode"]), (options.parallel, ["aggregate"])):
        figures = run_hearth(options, path, "--prompt", PROMPT, "--generate", GENERATE, "--parallel", parallel,
                             "--repeat", options.repeat)
        found |= {(metric, ""): float(figures[f"{metric}_tps"]) for metric in metrics}
    return found


def measure_peer(options, path):
    """The same of llama.cpp, with flash attention off and on."""
    found = {}
    for flash in ("off", "on"):
        option = f"flash-{flash}"
        out, _ = run([options.peer / "llama-bench", "-m", path, "-t", options.threads, "-p", PROMPT, "-n", GENERATE,
                      "-r", options.repeat, "-fa", flash, "-o", "jsonl"])
        for line in json_lines(out):
            found["prefill" if line["n_prompt"] else "decode", option] = line["avg_ts"]
        context = options.parallel * (PROMPT + GENERATE)
        out, _ = run([options.peer / "llama-batched-bench", "-m", path, "-t", options.threads, "-tb", options.threads,
                      "-c", context, "-b", 2048, "-ub", 512, "-npp", PROMPT, "-ntg", GENERATE, "-npl",
                      options.parallel, "-fa", flash, "--output-format", "jsonl"])
        for line in json_lines(out):
            found["aggregate", option] = line["speed_tg"]
    return found


def measure_pairs(options, name, path):
    """Rows of all runs of one model; the engine that goes first changes from pair to pair."""
    engines = [("hearth", measure_ours), ("llama.cpp", measure_peer)]
    rows = []
    for pair in range(options.pairs):
        for engine, measure in engines if pair % 2 == 0 else reversed(engines):
            for (metric, option), speed in measure(options, path).items():
                rows.append({"streams": options.parallel if metric == "aggregate" else 1, "model": name,
                             "metric": metric, "engine": engine, "option": option, "pair": pair + 1,
                             "tokens_per_s": round(speed, 2)})
            print(f"{name}: pair {pair + 1} of {options.pairs}, {engine} done", file=sys.stderr)
    return rows


def best_medians(rows, model, metric):
    """{engine: (median, option)}: of several options of an engine the fastest."""
    runs = {}
    for row in rows:
        if (row["model"], row["metric"]) == (model, metric):
            runs.setdefault((row["engine"], row["option"]), []).append(row["tokens_per_s"])
    best = {}
    for (engine, option), speeds in runs.items():
        best[engine] = max(best.get(engine, (0, "")), (statistics.median(speeds), option))
    return best


def summarise(rows):
    """Rows of medians, of ours divided by the peer's best median, and of parallel streams divided by one alone."""
    summary = []

    def add(model, metric, engine, option, pair, value):
        summary.append({"model": model, "metric": metric, "engine": engine, "option": option, "pair": pair,
                        "tokens_per_s": value})

    for model in dict.fromkeys(row["model"] for row in rows):
        alone = best_medians(rows, model, "decode")
        for metric in METRICS:
            best = best_medians(rows, model, metric)
            for engine, (median, option) in best.items():
                add(model, metric, engine, option, "median", round(median, 2))
            if len(best) == 2:
                add(model, metric, "hearth/llama.cpp", "", "ratio", round(best["hearth"][0] / best["llama.cpp"][0], 3))
            if metric == "aggregate":
                for engine in best.keys() & alone.keys():
                    add(model, "streams/alone", engine, "", "ratio", round(best[engine][0] / alone[engine][0], 3))
    return summary


def print_summary(summary):
    print(f"{'model':12} {'metric':14} {'hearth':>10} {'llama.cpp':>10} {'ratio':>7}  peer's option")
    table = {}
    for row in summary:
        table.setdefault((row["model"], row["metric"]), {})[row["engine"]] = row
    for (model, metric), engines in table.items():
        cells = [str(engines[engine]["tokens_per_s"]) if engine in engines else "-"
                 for engine in ("hearth", "llama.cpp", "hearth/llama.cpp")]
        option = engines.get("llama.cpp", {}).get("option", "")
        print(f"{model:12} {metric:14} {cells[0]:>10} {cells[1]:>10} {cells[2]:>7}  {option}")


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_options(parser)
    add_peer_option(parser)
    parser.add_argument("--parallel", type=int, default=4, help="streams of the aggregate figure")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=3, help="repetitions inside one run")
    options = parse(parser, arguments)
    results = Results("llm_cpu", options, FIELDS)
    rows = []
    for name, path in options.models:
        rows += measure_pairs(options, name, path)
        results.write(rows)  # a run that is cut short keeps what it has
    summary = summarise(rows)
    results.write(rows + summary)
    print_summary(summary)
    print(f"all runs: {results.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
