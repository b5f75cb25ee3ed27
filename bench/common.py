"""What the benchmark scripts share: running programs, and CSV files that say on what machine and commit they arose."""

import csv
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMON_FIELDS = ["date", "commit", "machine", "cores", "threads"]


def run(command):
    """Standard output and standard error of a command that must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout, done.stderr


def built_hearth():
    """What ./run built: with the CUDA backend where it found nvcc."""
    built = [ROOT / "build" / preset / "bin/hearth" for preset in ("release", "cuda")]
    return next((program for program in built if program.exists()), built[0])


def run_hearth(options, path, *words):
    """The JSON of one `hearth bench llm`."""
    command = [options.hearth, "bench", "llm", "-m", path, "--device", "cpu", "--threads", options.threads]
    out, _ = run([*command, *words, "--json"])
    return json.loads(out[out.index("{"):])


def describe_machine():
    with open("/proc/cpuinfo", encoding="utf-8") as source:
        models = [line.split(":", 1)[1].strip() for line in source if line.startswith("model name")]
    return models[0] if models else platform.machine()


def describe_commit():
    if not (ROOT / ".git").exists():
        return "unknown"
    commit = run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"])[0].strip()
    changed = run(["git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no"])[0].strip()
    return commit + ("+changes" if changed else "")


class Results:
    """The CSV file of one benchmark run: bench/results/NAME-DATE-COMMIT.csv unless --out names another."""

    def __init__(self, name, options, fields):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.common = {"date": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "commit": describe_commit(),
                       "machine": describe_machine(), "cores": os.cpu_count(), "threads": options.threads}
        commit = self.common["commit"].split("+")[0]
        self.path = options.out or ROOT / f"bench/results/{name}-{now:%Y%m%d-%H%M}-{commit}.csv"
        self.fields = COMMON_FIELDS + fields

    def write(self, rows):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "w", newline="", encoding="utf-8") as target:
            writer = csv.DictWriter(target, self.fields, lineterminator="\n")
            writer.writeheader()
            for row in rows:
                writer.writerow({**self.common, **row})


def add_common_options(parser):
    parser.add_argument("--model", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--hearth", type=pathlib.Path, default=built_hearth(),
                        help="the program; what ./run built by default")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=pathlib.Path, help="the CSV file to write")


def add_peer_option(parser):
    parser.add_argument("--peer", type=pathlib.Path, help="folder of the peer's programs; bench/peer.sh by default")


def parse(parser, arguments):
    """The options; `models` holds (name, path) pairs."""
    options = parser.parse_args(arguments)
    options.models = [(name, path) for name, _, path in (model.partition("=") for model in options.model)]
    for name, path in options.models:
        if not name or not pathlib.Path(path).is_file():
            parser.error(f"--model wants NAME=PATH of a file that exists, got '{name}={path}'")
    if hasattr(options, "peer") and not options.peer:
        options.peer = pathlib.Path(run([ROOT / "bench/peer.sh"])[0].strip().splitlines()[-1])
    if os.getloadavg()[0] > 0.5:
        print(f"warning: the load is {os.getloadavg()[0]:.2f}; figures of a busy machine mislead", file=sys.stderr)
    return options
