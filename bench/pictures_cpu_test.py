"""How runs become medians and ratios, and how a checkpoint's tensors say what it is."""

import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import pictures_cpu  # noqa: E402


def row(engine, option, pair, seconds):
    return {"model": "m", "size": 128, "batch": 1, "phase": "total", "engine": engine, "option": option, "pair": pair,
            "seconds": seconds, "gflops": 10 / seconds}


def test_the_peers_better_order_counts():
    rows = [row("hearth", "", pair, seconds) for pair, seconds in enumerate((1.0, 3.0, 2.0), 1)]
    rows += [row("diffusers", "contiguous", pair, 8.0) for pair in (1, 2, 3)]
    rows += [row("diffusers", "channels-last", pair, seconds) for pair, seconds in enumerate((9.0, 5.0, 6.0), 1)]
    summary = pictures_cpu.summarise(rows)
    assert [(each["engine"], each["option"], each["seconds"]) for each in summary if each["pair"] == "median"] == [
        ("hearth", "", 2.0), ("diffusers", "contiguous", 8.0), ("diffusers", "channels-last", 6.0)]
    assert [each["seconds"] for each in summary if each["pair"] == "ratio"] == [3.0]
