"""picture_once.py: PNG files of every filter are read, likeness is measured, and a stand-in that draws badly fails."""

import math
import pathlib
import random
import struct
import sys
import xml.etree.ElementTree as ElementTree
import zlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import picture_once  # noqa: E402


def write_png(path, samples, kind=0, width=5, height=4):
    """RGB whose rows use one filter: predicted from what is left and above as the PNG specification says."""
    step, above, raw = 3, bytes(width * 3), b""
    for y in range(height):
        row = samples[y * width * step:(y + 1) * width * step]
        raw += bytes([kind])
        for i, value in enumerate(row):
            a, b = (row[i - step] if i >= step else 0), above[i]
            c = above[i - step] if i >= step else 0
            nearest = min((abs(a + b - c - x), order, x) for order, x in enumerate((a, b, c)))[2]
            raw += bytes([(value - (0, a, b, (a + b) // 2, nearest)[kind]) & 255])
        above = row

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


SAMPLES = bytes(random.Random(1).randrange(256) for _ in range(60))


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_is_read(tmp_path, kind):
    write_png(tmp_path / "a.png", SAMPLES, kind)
    assert picture_once.read_png(tmp_path / "a.png") == (5, 4, 3, SAMPLES)


def test_likeness_in_decibels():
    assert picture_once.psnr((5, 4, 3, SAMPLES), (5, 4, 3, SAMPLES)) == math.inf
    near = bytes(value ^ 1 for value in SAMPLES)
    assert picture_once.psnr((5, 4, 3, near), (5, 4, 3, SAMPLES)) == pytest.approx(48.13, abs=0.01)
    with pytest.raises(ValueError):
        picture_once.psnr((4, 5, 3, SAMPLES), (5, 4, 3, SAMPLES))


def verdict(folder, drawn):
    """Of a program that copies `drawn` to where the picture is wanted."""
    (folder / "program.py").write_text(f"import shutil, sys\nshutil.copy({str(drawn)!r}, sys.argv[-1])\n")
    report = folder / "report.xml"
    code = picture_once.main(["--expected", str(folder / "want.png"), "--junit", str(report), "--name", "n", "--",
                              sys.executable, str(folder / "program.py")])
    failure = ElementTree.parse(report).find("testcase/failure")
    return code, failure.get("message") if failure is not None else None


def test_what_is_drawn_is_compared(tmp_path):
    write_png(tmp_path / "want.png", SAMPLES)
    write_png(tmp_path / "near.png", SAMPLES[:-1] + bytes([SAMPLES[-1] ^ 1]))
    write_png(tmp_path / "far.png", bytes(value ^ 1 for value in SAMPLES))
    assert verdict(tmp_path, tmp_path / "near.png") == (0, None)
    code, told = verdict(tmp_path, tmp_path / "far.png")
    assert code == 1 and "48.1 dB" in told
    code, told = verdict(tmp_path, tmp_path / "nothing.png")
    assert code == 1 and "ended with 1" in told
