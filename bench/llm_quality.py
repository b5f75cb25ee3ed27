#!/usr/bin/env python3
"""How close a quantised model's output is to what its weights say, beside llama.cpp: perplexity and mean KL divergence.

    build/venv/bin/python bench/llm_quality.py --model smollm2=PATH.gguf [--model NAME=PATH ...] [--text FILE]

Perplexity is llama-perplexity's: chunks of 512 tokens, the second half of each scored. KL(reference || engine) is taken
over the same positions of the first --kl-tokens; each engine's reference is the engine itself on the same weights
decoded to float32, with its state in float32. llama.cpp gets them as a GGUF file that is written into the cache.
Results go into a CSV under bench/results/. `gguf` and `numpy` are in build/venv, which ./test makes.
"""

import argparse
import hashlib
import os
import pathlib
import re
import sys
import tempfile

from common import Results, add_common_options, add_peer_option, parse, run, run_hearth

CHUNK = 512
FIELDS = ["text", "model", "metric", "engine", "value"]


def sha256_of(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def cache_folder():
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(os.environ.get("HEARTH_CACHE") or pathlib.Path(home) / "hearth") / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_float_model(source, target):
    """The same model with every tensor in float32."""
    try:
        import gguf
        import numpy
    except ImportError as error:
        raise SystemExit(f"{error}; run this with build/venv/bin/python, which ./test makes") from error
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.get_field("general.architecture").contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=element)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def float_model(path):
    made = cache_folder() / f"float32-{sha256_of(path)[:16]}.gguf"
    if not made.exists():
        part = made.with_suffix(".part")
        write_float_model(path, part)
        part.rename(made)
    return made


def number_in(pattern, text, what):
    found = re.search(pattern, text)
    if not found:
        raise SystemExit(f"llama-perplexity printed no {what}; the end of what it said:\n{text[-2000:]}")
    return float(found.group(1))


def perplexity_of_peer(options, path, *words):
    out, log = run([options.peer / "llama-perplexity", "-m", path, "-c", CHUNK, "-t", options.threads, *words])
    return out + log


def measure_peer(options, path):
    text = perplexity_of_peer(options, path, "-f", options.text)
    chunks = ["--chunks", options.kl_tokens // CHUNK]
    with tempfile.NamedTemporaryFile(dir=cache_folder(), suffix=".logits") as base:
        perplexity_of_peer(options, float_model(path), "-f", options.text, *chunks, "-ctk", "f32", "-ctv", "f32",
                           "--kl-divergence-base", base.name)
        kl = perplexity_of_peer(options, path, *chunks, "--kl-divergence-base", base.name, "--kl-divergence")
    return {"perplexity": number_in(r"Final estimate: PPL = ([\d.]+)", text, "perplexity"),
            "mean_kl_nats": number_in(r"Mean\s+KLD:\s+(-?[\d.]+)", kl, "mean KLD"),
            "same_top": number_in(r"Same top p:\s+([\d.]+)", kl, "share of equal choices") / 100}


def measure_ours(options, path):
    figures = run_hearth(options, path, "--quality", "--text", options.text, "--chunk", CHUNK, "--kl-tokens",
                         options.kl_tokens)
    return {metric: figures[metric] for metric in ("perplexity", "mean_kl_nats", "same_top")}


def rows_of(options, name, path):
    text = f"{options.text.name} {sha256_of(options.text)[:16]}"
    ours, peer = measure_ours(options, path), measure_peer(options, path)
    rows = []
    for metric in ours:
        values = {"hearth": ours[metric], "llama.cpp": peer[metric], "hearth/llama.cpp": ours[metric] / peer[metric]}
        rows += [{"text": text, "model": name, "metric": metric, "engine": engine, "value": f"{value:.6g}"}
                 for engine, value in values.items()]
        print(f"{name:12} {metric:14} " + "  ".join(f"{engine} {value:.5g}" for engine, value in values.items()))
    return rows


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_options(parser)
    add_peer_option(parser)
    parser.add_argument("--text", type=pathlib.Path, default=pathlib.Path("/usr/share/common-licenses/GPL-3"))
    parser.add_argument("--kl-tokens", type=int, default=2048)
    options = parse(parser, arguments)
    results = Results("llm_quality", options, FIELDS)
    rows = []
    for name, path in options.models:
        rows += rows_of(options, name, path)
        results.write(rows)
    print(f"all figures: {results.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
