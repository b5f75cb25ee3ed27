"""The benchmark beside the peer, with scripts in the place of both engines."""

import csv
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import llm_cpu  # noqa: E402

OURS = """#!/bin/sh
echo ours >> "$(dirname "$0")/order"
case "$*" in *"--parallel 1 "*) tg=210 ;; *) tg=300 ;; esac
echo "{\\"prefill_tps\\": 900, \\"decode_tps\\": $tg, \\"aggregate_tps\\": $tg, \\"load_s\\": 0.1}"
"""
PEER = """#!/bin/sh
echo peer >> "$(dirname "$0")/order"
case "$*" in *"-fa on"*) tg=200 ;; *) tg=100 ;; esac
echo '{"n_prompt": 512, "n_gen": 0, "avg_ts": 1000}'
echo "{\\"n_prompt\\": 0, \\"n_gen\\": 128, \\"avg_ts\\": $tg}"
"""
BATCHED = """#!/bin/sh
echo 'a line of log'
echo '{"pl": 4, "speed_tg": 400}'
"""


def make(folder, name, text):
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def test_runs_alternate_and_the_peers_best_option_counts(tmp_path, capsys):
    for name, text in (("hearth", OURS), ("llama-bench", PEER), ("llama-batched-bench", BATCHED)):
        make(tmp_path, name, text)
    (tmp_path / "m.gguf").write_text("")
    out = tmp_path / "out.csv"
    assert llm_cpu.main(["--model", f"tiny={tmp_path / 'm.gguf'}", "--hearth", str(tmp_path / "hearth"), "--peer",
                         str(tmp_path), "--pairs", "2", "--threads", "2", "--out", str(out)]) == 0
    order = (tmp_path / "order").read_text().split()
    assert order == ["ours", "ours", "peer", "peer", "peer", "peer", "ours", "ours"]

    rows = list(csv.DictReader(out.open()))
    runs = [row for row in rows if row["pair"] in "12"]
    assert len(runs) == 2 * (3 + 6)
    assert all(row["commit"] and row["machine"] and row["date"] and row["threads"] == "2" for row in rows)
    ratios = {row["metric"]: float(row["tokens_per_s"]) for row in rows if row["pair"] == "ratio"}
    assert ratios["decode"] == 1.05 and ratios["prefill"] == 0.9 and ratios["aggregate"] == 0.75
    alone = {row["engine"]: float(row["tokens_per_s"]) for row in rows if row["metric"] == "streams/alone"}
    assert alone == {"hearth": round(300 / 210, 3), "llama.cpp": 2.0}
    best = [row["option"] for row in rows if row["pair"] == "median" and row["engine"] == "llama.cpp"
            and row["metric"] == "decode"]
    assert best == ["flash-on"]
    assert "1.05" in capsys.readouterr().out
