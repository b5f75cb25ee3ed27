"""Weights files against their reference packages: what `gguf` and `safetensors` write or decode, our reader and our
reference decoder must see bit for bit.

    HEARTH_BIN=build/release/bin pytest tests/oracle/gguf_oracle.py

HEARTH_GGUF may name further real files (colon-separated), whose whole header is compared.
"""
import json
import os
import pathlib
import subprocess
import warnings

import gguf
import numpy as np
import pytest
from gguf.quants import _type_traits
from safetensors.numpy import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
Q = gguf.GGMLQuantizationType
BLOCKS = 64


class Probe:
    """The program tests/tools/format_probe.cpp, kept running; one JSON line per question."""

    def __init__(self):
        folder = pathlib.Path(os.environ.get("HEARTH_BIN", ROOT / "build/release/bin"))
        self.process = subprocess.Popen([ROOT / folder / "format_probe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def decode(self, name, data):
        reply = self.ask(op="decode", type=name, bytes=data.tobytes().hex())
        return np.frombuffer(bytes.fromhex(reply["floats"]), "<f4")

    def encode(self, name, floats):
        reply = self.ask(op="encode", type=name, floats=floats.astype("<f4").tobytes().hex())
        return np.frombuffer(bytes.fromhex(reply["bytes"]), np.uint8)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0


@pytest.fixture(scope="module")
def probe():
    started = Probe()
    yield started
    started.close()


@pytest.fixture(autouse=True)
def quiet_numpy():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def ours(qtype):
    return qtype.name.lower()


def ulps(a, b):
    """Distance in units in the last place; any NaN equals any NaN."""
    def ordered(x):
        bits = x.view(np.int32).astype(np.int64)
        return np.where(bits < 0, np.int64(-(2**31)) - bits, bits)
    distance = np.abs(ordered(a) - ordered(b))
    return np.where(np.isnan(a) & np.isnan(b), 0, distance)


KNOWN = sorted(_type_traits, key=lambda q: q.value) + [Q.F32, Q.F16]
LACKING = [q for q in Q if q not in KNOWN]


def test_types_the_reference_cannot_decode_are_few(probe):
    print("\nno reference decoder in gguf for:", ", ".join(q.name for q in LACKING), "(unit tests cover these)")
    assert {q.name for q in LACKING} <= {"Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64", "Q1_0", "Q2_0"}


def test_sizes_and_ids_of_all_types(probe):
    table = probe.ask(op="dtypes")["dtypes"]
    for qtype in Q:
        elements, size = gguf.GGML_QUANT_SIZES[qtype]
        if qtype == Q.Q8_1:
            size = 36  # the package still counts d and s as floats; files and ggml have halves
        assert table[ours(qtype)] == [elements, size, qtype.value], qtype.name
    ids = [row[2] for row in table.values() if row[2] is not None]
    assert len(ids) == len(set(ids)) and set(ids) == {q.value for q in Q} | {41, 42}


@pytest.mark.parametrize("qtype", KNOWN, ids=ours)
def test_random_bytes_decode_exactly(probe, qtype):
    size = gguf.GGML_QUANT_SIZES[qtype][1]
    rng = np.random.default_rng(qtype.value)
    data = rng.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    data[0], data[1] = 0, 255
    wanted = np.ascontiguousarray(gguf.quants.dequantize(data, qtype), np.float32).ravel()
    got = probe.decode(ours(qtype), data)
    assert got.shape == wanted.shape
    worst = int(ulps(got, wanted).max())
    assert worst == 0, f"{qtype.name}: {worst} ulp at {int(ulps(got, wanted).argmax())}"


def test_every_half_and_bfloat(probe):
    patterns = np.arange(65536, dtype="<u2")
    for name, wanted in [("f16", patterns.view("<f2").astype("<f4")),
                         ("bf16", (patterns.astype("<u4") << 16).view("<f4"))]:
        assert ulps(probe.decode(name, patterns), wanted).max() == 0


@pytest.mark.parametrize("qtype", [Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.F16, Q.BF16], ids=ours)
def test_simple_quantisers_agree(probe, qtype):
    rng = np.random.default_rng(7)
    rows = (rng.standard_normal((BLOCKS, 32)) * np.exp(rng.uniform(-8, 4, (BLOCKS, 1)))).astype(np.float32)
    rows[0] = 0
    rows[1] = 1.5
    wanted = gguf.quants.quantize(rows, qtype).view(np.uint8).ravel()
    np.testing.assert_array_equal(probe.encode(ours(qtype), rows), wanted)


@pytest.mark.parametrize("qtype, error", [(Q.Q4_K, 0.045), (Q.Q6_K, 0.012)], ids=["q4_k", "q6_k"])
def test_k_quantisers_are_close(probe, qtype, error):
    rows = np.random.default_rng(9).standard_normal((16, 256)).astype(np.float32)
    packed = probe.encode(ours(qtype), rows).reshape(16, -1)
    back = gguf.quants.dequantize(packed, qtype)
    # Relative to the range of a sub-block of 32 (about 5 for normals): half a step of 1/15 or 1/63.
    assert np.sqrt(np.mean((back - rows) ** 2)) < error * 5 / 2


def compare_with_reference_reader(probe, path):
    reference = gguf.GGUFReader(path)
    got = probe.ask(op="gguf", path=str(path))
    assert "error" not in got, got
    assert len(got["tensors"]) == len(reference.tensors)
    for mine, theirs in zip(got["tensors"], reference.tensors):
        assert mine["name"] == theirs.name
        assert mine["type"] == ours(theirs.tensor_type)
        assert mine["shape"] == [int(x) for x in theirs.shape[::-1]]
        assert (mine["offset"], mine["bytes"]) == (int(theirs.data_offset), int(theirs.n_bytes))
    fields = {name: field for name, field in reference.fields.items() if not name.startswith("GGUF.")}
    assert list(got["metadata"]) == list(fields)
    for name, field in fields.items():
        if name == "a.nested":
            continue  # the reference reader flattens it
        wanted = field.contents()
        if isinstance(wanted, float) or (isinstance(wanted, list) and wanted and isinstance(wanted[0], float)):
            np.testing.assert_array_equal(np.float32(got["metadata"][name]), np.float32(wanted), err_msg=name)
        else:
            assert got["metadata"][name] == wanted, name
    return got


def write_every_kind(path, alignment=None, **options):
    writer = gguf.GGUFWriter(path, "test", **options)
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_uint8("k.u8", 255)
    writer.add_int8("k.i8", -128)
    writer.add_uint16("k.u16", 65535)
    writer.add_int16("k.i16", -32768)
    writer.add_uint32("k.u32", 2**32 - 1)
    writer.add_int32("k.i32", -(2**31))
    writer.add_uint64("k.u64", 2**64 - 1)
    writer.add_int64("k.i64", -(2**63))
    writer.add_float32("k.f32", 0.1)
    writer.add_float64("k.f64", 0.1)
    writer.add_bool("k.yes", True)
    writer.add_bool("k.no", False)
    writer.add_string("k.text", "höllo \U0001f525\n")
    writer.add_array("a.ints", [1, -2, 3])
    writer.add_array("a.floats", [0.5, 1.25])
    writer.add_array("a.texts", ["", "a", "a much longer string than fits in place"])
    writer.add_array("a.bools", [True, False])
    writer.add_array("a.nested", [[1, 2], [3]])
    rng = np.random.default_rng(3)
    for i, qtype in enumerate([Q.F32, Q.F16, Q.Q8_0, Q.Q4_0, Q.BF16]):
        values = rng.standard_normal((3 + i, 64)).astype(np.float32)
        packed = gguf.quants.quantize(values, qtype)
        writer.add_tensor(f"blk.{i}.weight", packed, raw_dtype=qtype)
    writer.add_tensor("one.bias", rng.standard_normal(7).astype(np.float32))
    writer.add_tensor("four", rng.standard_normal((2, 3, 4, 5)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("alignment", [None, 8, 64, 4096])
def test_written_files_read_the_same(probe, tmp_path, alignment):
    path = tmp_path / "every.gguf"
    write_every_kind(path, alignment)
    got = compare_with_reference_reader(probe, path)
    assert got["metadata"]["k.u64"] == 2**64 - 1 and got["metadata"]["a.nested"] == [[1, 2], [3]]
    assert [t["shape"] for t in got["tensors"]][-1] == [2, 3, 4, 5]


def test_split_files(probe, tmp_path):
    write_every_kind(tmp_path / "part.gguf", split_max_tensors=3)
    parts = sorted(tmp_path.glob("part-*.gguf"))
    assert len(parts) == 3
    got = probe.ask(op="gguf", path=str(parts[0]))
    assert "error" not in got, got
    assert got["paths"] == [str(p) for p in parts]
    theirs = [(i, t.name, int(t.data_offset)) for i, p in enumerate(parts) for t in gguf.GGUFReader(p).tensors]
    assert [(t["file"], t["name"], t["offset"]) for t in got["tensors"]] == theirs

    second = probe.ask(op="gguf", path=str(parts[1]))
    assert second["error"] == "invalid_argument" and "00001-of-00003" in second["message"]
    parts[2].rename(tmp_path / "away")
    assert probe.ask(op="gguf", path=str(parts[0]))["error"] == "not_found"
    (tmp_path / "part-00003-of-00003.gguf").write_bytes(parts[1].read_bytes())
    assert probe.ask(op="gguf", path=str(parts[0]))["error"] == "corrupt_file"


def test_big_endian_is_refused(probe, tmp_path):
    write_every_kind(tmp_path / "big.gguf", endianess=gguf.GGUFEndian.BIG)
    reply = probe.ask(op="gguf", path=str(tmp_path / "big.gguf"))
    assert reply["error"] == "unsupported" and "big-endian" in reply["message"]


@pytest.mark.parametrize("path", [p for p in os.environ.get("HEARTH_GGUF", "").split(":") if p])
def test_real_files(probe, path):
    compare_with_reference_reader(probe, path)


def weights(rng):
    return {
        "b.weight": rng.standard_normal((4, 6)).astype(np.float32),
        "a.weight": rng.standard_normal((3, 5)).astype(np.float16),
        "ids": np.arange(9, dtype=np.int64),
        "mask": np.array([True, False]),
        "scalar": np.array(2.5, np.float64),
        "empty": np.zeros((0, 4), np.float32),
    }


def check_safetensors(file, paths, arrays):
    assert "error" not in file, file
    assert {t["name"] for t in file["tensors"]} == set(arrays)
    for tensor in file["tensors"]:
        wanted = arrays[tensor["name"]]
        with open(paths[tensor["file"]], "rb") as handle:
            handle.seek(tensor["offset"])
            assert handle.read(tensor["bytes"]) == wanted.tobytes(), tensor["name"]
        assert tensor["shape"] == list(wanted.shape)


def test_safetensors_file(probe, tmp_path):
    arrays = weights(np.random.default_rng(5))
    path = tmp_path / "model.safetensors"
    save_file(arrays, path, metadata={"format": "np", "ünï": "✓"})
    got = probe.ask(op="safetensors", path=str(path))
    check_safetensors(got, [path], arrays)
    assert got["metadata"] == {"format": "np", "ünï": "✓"}
    kinds = {t["name"]: t["type"] for t in got["tensors"]}
    assert kinds == {"b.weight": "f32", "a.weight": "f16", "ids": "i64", "mask": "bool", "scalar": "f64",
                     "empty": "f32"}


def test_sharded_safetensors(probe, tmp_path):
    arrays = weights(np.random.default_rng(6))
    names = sorted(arrays)
    shards = {"model-00001-of-00002.safetensors": names[:3], "model-00002-of-00002.safetensors": names[3:]}
    for shard, held in shards.items():
        save_file({n: arrays[n] for n in held}, tmp_path / shard)
    index = {"metadata": {"total_size": 123}, "weight_map": {n: s for s, held in shards.items() for n in held}}
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    got = probe.ask(op="safetensors", path=str(path))
    check_safetensors(got, got["paths"], arrays)
    assert got["metadata"] == {"total_size": 123}

    index["weight_map"]["ghost"] = "model-00001-of-00002.safetensors"
    path.write_text(json.dumps(index))
    reply = probe.ask(op="safetensors", path=str(path))
    assert reply["error"] == "corrupt_file" and "ghost" in reply["message"]
    path.write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    assert probe.ask(op="safetensors", path=str(path))["error"] == "corrupt_file"
