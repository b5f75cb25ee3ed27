"""The quality and footprint benchmarks, with scripts in the place of both engines; the float32 copy is a real one."""

import csv
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import llm_footprint  # noqa: E402
import llm_quality  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/golden/language_models/llama.gguf"
HEARTH = """#!/bin/sh
case "$*" in
  *--quality*) echo '{"perplexity": 18.36, "mean_kl_nats": 0.02, "same_top": 0.9}' ;;
  *) echo '{"weights_bytes": 70, "state_bytes": 20, "arena_bytes": 10, "peak_rss_bytes": 120, "load_s": 0.1,'
     echo '"first_token_s": 0.2}' ;;
esac
"""
PERPLEXITY = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/calls"
case "$*" in
  *--kl-divergence) echo 'Mean    KLD:   0.040000 ±   0.000100'; echo ' Same top p: 88.500 ± 1.000 %' ;;
  *) echo 'Final estimate: PPL = 18.3600 +/- 0.86' >&2 ;;
esac
"""


@pytest.fixture
def engines(tmp_path, monkeypatch):
    monkeypatch.setenv("HEARTH_CACHE", str(tmp_path / "cache"))
    for name, text in (("hearth", HEARTH), ("llama-perplexity", PERPLEXITY)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def arguments(folder, *more):
    return ["--model", f"tiny={GOLDEN}", "--hearth", str(folder / "hearth"), "--threads", "1", "--out",
            str(folder / "out.csv"), *more]


def values_of(folder, key):
    with open(folder / "out.csv", encoding="utf-8") as source:
        return {tuple(row[k] for k in key): float(row["value"]) for row in csv.DictReader(source)}


def test_quality_compares_each_engine_with_its_own_float32(engines):
    (engines / "text").write_text("words")
    assert llm_quality.main(arguments(engines, "--peer", str(engines), "--text", str(engines / "text"))) == 0
    values = values_of(engines, ("metric", "engine"))
    assert values["perplexity", "hearth/llama.cpp"] == 1
    assert values["mean_kl_nats", "hearth/llama.cpp"] == 0.5
    assert values["same_top", "llama.cpp"] == 0.885
    plain, base, compared = (engines / "calls").read_text().splitlines()
    assert str(GOLDEN) in plain and str(GOLDEN) in compared
    assert "float32-" in base and "-ctk f32" in base and "--chunks 4" in base


def test_the_float32_copy_is_the_same_model(engines):
    gguf = pytest.importorskip("gguf")
    numpy = pytest.importorskip("numpy")
    source, copy = gguf.GGUFReader(GOLDEN), gguf.GGUFReader(llm_quality.float_model(GOLDEN))
    assert {t.name for t in copy.tensors} == {t.name for t in source.tensors}
    for before, after in zip(source.tensors, copy.tensors):
        assert after.tensor_type == gguf.GGMLQuantizationType.F32
        assert numpy.array_equal(gguf.quants.dequantize(before.data, before.tensor_type), after.data)
    kept = {name for name in source.fields if name.split(".")[0] not in ("GGUF", "general")}
    assert kept and all(source.fields[name].contents() == copy.fields[name].contents() for name in kept)


def test_footprint_divides_by_what_is_held(engines):
    assert llm_footprint.main(arguments(engines, "--runs", "3")) == 0
    values = values_of(engines, ("metric", "run"))
    assert values["rss_over_held", "median"] == 1.2
    assert values["first_token_s", "3"] == 0.2
