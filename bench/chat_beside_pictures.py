#!/usr/bin/env python3
"""A chat beside an endless queue of pictures: one server, few cores, both at once and each alone.

    bench/chat_beside_pictures.py --model smollm2=PATH.gguf --checkpoint PATH.safetensors [--threads 2] [--seconds 30]

For every case (size and steps of the pictures) the server first draws alone, then streams alone, then does both until
`--seconds` are over and at least `--pictures` pictures are done. Time between tokens is what the client sees, within
one answer; the first token is counted apart. Rows go into a CSV under bench/results/. Run it on a quiet machine.
"""

import argparse
import pathlib
import sys
import tempfile
import threading
import time

from common import Results, add_common_options, parse
from serve import Server, ended_ms, is_success, workflow

FIELDS = ["model", "size", "steps", "phase", "tokens", "tokens_per_s", "gap_p50_ms", "gap_p95_ms", "gap_p99_ms",
          "gap_max_ms", "first_token_p50_ms", "first_token_max_ms", "pictures", "pictures_per_min", "pictures_ratio"]
PROMPT = "Write a long story about a fox who learns to paint."
ANSWER = 200
TARGET_GAP_MS, TARGET_RATIO = 150, 0.5


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Chat:
    """Streams answer after answer on a thread until it is told to stop."""

    def __init__(self, server, model):
        self.server, self.model = server, model
        self.gaps, self.firsts, self.tokens, self.seconds = [], [], 0, 0.0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        begun = time.perf_counter()
        number = 0
        while not self.is_over.is_set():
            number += 1
            asked = before = time.perf_counter()
            for now in self.server.stream(self.model, f"{number}. {PROMPT}", ANSWER):
                (self.firsts if before is asked else self.gaps).append((now - before) * 1000)
                before = now
                self.tokens += 1
                if self.is_over.is_set():
                    break
        self.seconds = time.perf_counter() - begun

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()

    def figures(self):
        return {"tokens": self.tokens, "tokens_per_s": round(self.tokens / self.seconds, 1),
                "gap_p50_ms": round(percentile(self.gaps, 0.5), 2), "gap_p95_ms": round(percentile(self.gaps, 0.95), 2),
                "gap_p99_ms": round(percentile(self.gaps, 0.99), 2), "gap_max_ms": round(max(self.gaps), 2),
                "first_token_p50_ms": round(percentile(self.firsts, 0.5), 2),
                "first_token_max_ms": round(max(self.firsts), 2)}


class Pictures:
    """Keeps the queue of pictures full while it is entered."""

    def __init__(self, server, size, steps, seconds, wanted):
        self.server, self.seconds, self.wanted = server, seconds, wanted
        self.make = lambda seed: workflow(server.checkpoint, size, steps, seed)
        self.seed = 1000
        self.ended = []

    def _fill(self):
        while self.server.get("/prompt")["exec_info"]["queue_remaining"] < 20:
            self.seed += 1
            self.server.queue(self.make(self.seed))

    def _done(self):
        return sorted(ended_ms(entry) for entry in self.server.history().values() if is_success(entry))

    def __enter__(self):
        """From the end of a first picture on, which pays for what only the first one needs."""
        self.server.request("POST", "/history", {"clear": True})
        self._fill()
        while not self._done():
            time.sleep(0.02)
        return self

    def draw(self):
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end or len(self._done()) <= self.wanted:
            self._fill()
            time.sleep(0.5)
        self.ended = self._done()

    def __exit__(self, *_):
        self.server.clear_queue()

    def per_minute(self):
        return 60000 * (len(self.ended) - 1) / (self.ended[-1] - self.ended[0])

    def figures(self):
        return {"pictures": len(self.ended) - 1, "pictures_per_min": round(self.per_minute(), 2)}


def measure_case(server, model, size, steps, options):
    """Rows of pictures alone, chat alone, and both."""
    about = {"model": model, "size": size, "steps": steps}
    with Pictures(server, size, steps, options.seconds, options.pictures) as alone:
        alone.draw()
    with Chat(server, model) as chat:
        time.sleep(min(options.seconds, 10))
    rows = [{**about, "phase": "pictures alone", **alone.figures()}, {**about, "phase": "chat alone", **chat.figures()}]
    with Pictures(server, size, steps, options.seconds, options.pictures) as beside, Chat(server, model) as both:
        begun = len(beside._done())
        beside.server.request("POST", "/history", {"clear": True})
        while len(beside._done()) == 0:  # counted from the end of a picture that was drawn beside the chat
            time.sleep(0.05)
        beside.draw()
    ratio = beside.per_minute() / alone.per_minute()
    rows.append({**about, "phase": "both", **both.figures(), **beside.figures(), "pictures_ratio": round(ratio, 3)})
    return rows


def print_row(row):
    words = [f"{row['size']}x{row['size']}, {row['steps']} steps, {row['phase']}:"]
    if "tokens_per_s" in row:
        words.append(f"{row['tokens_per_s']} tokens/s, gaps p50 {row['gap_p50_ms']} p95 {row['gap_p95_ms']} "
                     f"p99 {row['gap_p99_ms']} max {row['gap_max_ms']} ms, first token {row['first_token_p50_ms']} ms;")
    if "pictures" in row:
        words.append(f"{row['pictures_per_min']} pictures/min")
    if "pictures_ratio" in row:
        words.append(f"({row['pictures_ratio']} of alone)")
    print(*words, flush=True)


def parse_case(text):
    size, _, steps = text.partition("x")
    return int(size), int(steps)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_options(parser)
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True, help="the picture model")
    parser.add_argument("--case", type=parse_case, action="append", metavar="SIZExSTEPS",
                        help="pictures of that side and number of steps; 128x20, 256x20 and 512x4 by default")
    parser.add_argument("--seconds", type=float, default=30, help="of each phase")
    parser.add_argument("--pictures", type=int, default=5, help="at least, of each phase")
    options = parse(parser, arguments)
    results = Results("chat_beside_pictures", options, FIELDS)
    rows, is_met = [], True
    for name, path in options.models:
        for size, steps in options.case or [(128, 20), (256, 20), (512, 4)]:
            with tempfile.TemporaryDirectory() as folder, \
                 Server(options.hearth, folder, [(name, path)], options.checkpoint, options.threads) as server:
                made = measure_case(server, name, size, steps, options)
            for row in made:
                print_row(row)
            rows += made
            results.write(rows)  # a run that is cut short keeps what it has
            is_met &= made[-1]["gap_p95_ms"] <= TARGET_GAP_MS and made[-1]["pictures_ratio"] >= TARGET_RATIO
    print(f"95 % of tokens within {TARGET_GAP_MS} ms and pictures at {TARGET_RATIO} of their rate alone: "
          f"{'met' if is_met else 'MISSED'}\nall runs: {results.path}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
