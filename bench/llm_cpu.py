#!/usr/bin/env python3
"""Language model speed on the CPU beside llama.cpp: same files, same threads, KV in f16, pairs in alternating order.

    bench/llm_cpu.py --model smollm2=PATH.gguf [--model NAME=PATH ...] [--threads N] [--pairs 5]

Measures decode (128 tokens of one stream), prefill (512 tokens) and aggregate decode of four parallel streams. The
peer runs with flash attention on and off and its better median counts. Every run goes into a CSV under bench/results/
with machine, date and commit; medians and ratios close it and are printed. Run it on a quiet machine.
"""

import argparse
import csv
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROMPT, GENERATE = 512, 128
METRICS = ["decode", "prefill", "aggregate"]
FIELDS = ["date", "commit", "machine", "cores", "threads", "streams", "model", "metric", "engine", "option", "pair",
          "tokens_per_s"]


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def measure_ours(options, path):
    """{(metric, option): tokens/s} of one run of this project: one stream alone, then the parallel ones."""
    found = {}
    for parallel, metrics in ((1, ["prefill", "decode"]), (options.parallel, ["aggregate"])):
        out = run([options.hearth, "bench", "llm", "-m", path, "--threads", options.threads, "--prompt", PROMPT,
                   "--generate", GENERATE, "--parallel", parallel, "--repeat", options.repeat, "--json"])
        figures = json.loads(out[out.index("{"):])
        found |= {(metric, ""): float(figures[f"{metric}_tps"]) for metric in metrics}
    return found


def measure_peer(options, path):
    """The same of llama.cpp, with flash attention off and on."""
    found = {}
    for flash in ("off", "on"):
        option = f"flash-{flash}"
        for line in json_lines(run([options.peer / "llama-bench", "-m", path, "-t", options.threads, "-p", PROMPT,
                                    "-n", GENERATE, "-r", options.repeat, "-fa", flash, "-o", "jsonl"])):
            found["prefill" if line["n_prompt"] else "decode", option] = line["avg_ts"]
        context = options.parallel * (PROMPT + GENERATE)
        for line in json_lines(run([options.peer / "llama-batched-bench", "-m", path, "-t", options.threads, "-tb",
                                    options.threads, "-c", context, "-b", 2048, "-ub", 512, "-npp", PROMPT, "-ntg",
                                    GENERATE, "-npl", options.parallel, "-fa", flash, "--output-format", "jsonl"])):
            found["aggregate", option] = line["speed_tg"]
    return found


def measure_pairs(options, name, path):
    """Rows of all runs of one model; the engine that goes first changes from pair to pair."""
    engines = [("hearth", measure_ours), ("llama.cpp", measure_peer)]
    rows = []
    for pair in range(options.pairs):
        for engine, measure in engines if pair % 2 == 0 else reversed(engines):
            for (metric, option), speed in measure(options, path).items():
                rows.append({"model": name, "metric": metric, "engine": engine, "option": option, "pair": pair + 1,
                             "tokens_per_s": round(speed, 2)})
            print(f"{name}: pair {pair + 1} of {options.pairs}, {engine} done", file=sys.stderr)
    return rows


def summarise(rows):
    """Rows of medians and, where both engines ran, of ours divided by the peer's best median."""
    summary = []
    for model in dict.fromkeys(row["model"] for row in rows):
        for metric in METRICS:
            medians = {}
            for row in rows:
                if (row["model"], row["metric"]) == (model, metric):
                    medians.setdefault((row["engine"], row["option"]), []).append(row["tokens_per_s"])
            best = {}
            for (engine, option), speeds in medians.items():
                median = statistics.median(speeds)
                if median > best.get(engine, (0, ""))[0]:
                    best[engine] = (median, option)
            for engine, (median, option) in best.items():
                summary.append({"model": model, "metric": metric, "engine": engine, "option": option,
                                "pair": "median", "tokens_per_s": round(median, 2)})
            if len(best) == 2:
                summary.append({"model": model, "metric": metric, "engine": "hearth/llama.cpp", "option": "",
                                "pair": "ratio", "tokens_per_s": round(best["hearth"][0] / best["llama.cpp"][0], 3)})
    return summary


def describe_machine():
    with open("/proc/cpuinfo", encoding="utf-8") as source:
        models = [line.split(":", 1)[1].strip() for line in source if line.startswith("model name")]
    return models[0] if models else platform.machine()


def describe_commit():
    if not (ROOT / ".git").exists():
        return "unknown"
    commit = run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]).strip()
    changed = run(["git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no"]).strip()
    return commit + ("+changes" if changed else "")


def write_csv(path, rows, common):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, FIELDS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({**common, **row})


def print_summary(summary):
    print(f"{'model':12} {'metric':10} {'hearth':>10} {'llama.cpp':>10} {'ratio':>7}  peer's option")
    table = {}
    for row in summary:
        table.setdefault((row["model"], row["metric"]), {})[row["engine"]] = row
    for (model, metric), engines in table.items():
        ours, peer = engines.get("hearth"), engines.get("llama.cpp")
        ratio = engines.get("hearth/llama.cpp")
        cell = lambda row: f"{row['tokens_per_s']:.1f}" if row else "-"  # noqa: E731
        print(f"{model:12} {metric:10} {cell(ours):>10} {cell(peer):>10} "
              f"{ratio['tokens_per_s'] if ratio else '-':>7}  {peer['option'] if peer else ''}")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--hearth", type=pathlib.Path, default=ROOT / "build/release/bin/hearth")
    parser.add_argument("--peer", type=pathlib.Path, help="folder of the peer's programs; bench/peer.sh by default")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--parallel", type=int, default=4, help="streams of the aggregate figure")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=3, help="repetitions inside one run")
    parser.add_argument("--out", type=pathlib.Path, help="the CSV file to write")
    options = parser.parse_args(arguments)
    for model in options.model:
        if not pathlib.Path(model.partition("=")[2]).is_file():
            parser.error(f"--model wants NAME=PATH of a file that exists, got '{model}'")
    return options


def main(arguments):
    options = parse(arguments)
    options.peer = options.peer or pathlib.Path(run([ROOT / "bench/peer.sh"]).strip().splitlines()[-1])
    if os.getloadavg()[0] > 0.5:
        print(f"warning: the load is {os.getloadavg()[0]:.2f}; figures of a busy machine mislead", file=sys.stderr)
    now = datetime.datetime.now(datetime.timezone.utc)
    common = {"date": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "commit": describe_commit(), "machine": describe_machine(),
              "cores": os.cpu_count(), "threads": options.threads, "streams": options.parallel}
    out = options.out or ROOT / f"bench/results/llm_cpu-{now:%Y%m%d-%H%M}-{common['commit'].split('+')[0]}.csv"
    rows = []
    for model in options.model:
        name, _, path = model.partition("=")
        rows += measure_pairs(options, name, path)
        write_csv(out, rows, common)  # a run that is cut short keeps what it has
    summary = summarise(rows)
    write_csv(out, rows + summary, common)
    print_summary(summary)
    print(f"all runs: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
