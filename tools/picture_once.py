#!/usr/bin/env python3
"""Draws one picture with the built-in model and compares it with a kept one of the same words, steps and seed.

    picture_once.py --expected FILE.png --junit OUT.xml --name NAME -- PROGRAM [WORD...]

PROGRAM WORD... is what stands before `imagine` in the command line, an emulator included. Passes when the pictures are
alike to more than --psnr decibels. The verdict goes to standard error and into a JUnit report; exits 1 when it failed.
Reads PNG with nothing but Python's own library.
"""

import argparse
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from serve_once import judged  # noqa: E402

ASKED = ["a red apple", "--seed", "1", "--steps", "4", "--no-preview"]


def unfiltered(kind, line, above, step):
    """One row of a PNG, its filter taken back."""
    out = bytearray(line)
    for i, value in enumerate(line):
        left = out[i - step] if i >= step else 0
        up = above[i]
        corner = above[i - step] if i >= step else 0
        if kind == 4:
            away = [abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)]
            guess = (left, up, corner)[away.index(min(away))]
        else:
            guess = (0, left, up, (left + up) // 2)[kind]
        out[i] = (value + guess) & 255
    return out


def read_png(path):
    """(width, height, channels, samples) of an 8-bit picture in RGB or RGBA."""
    data = pathlib.Path(path).read_bytes()
    if not data.startswith(b"\x89PNG"):
        raise ValueError(f"{path} is no PNG")
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    if depth != 8 or colour not in (2, 6):
        raise ValueError(f"{path}: wanted 8 bits of RGB or RGBA, got depth {depth}, colour type {colour}")
    packed, at = b"", 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + size]
        at += 12 + size
    step = 3 if colour == 2 else 4
    raw, rows, above = zlib.decompress(packed), [], bytes(width * step)
    for y in range(height):
        line = raw[y * (width * step + 1):(y + 1) * (width * step + 1)]
        above = unfiltered(line[0], line[1:], above, step)
        rows.append(above)
    return width, height, step, b"".join(rows)


def psnr(got, want):
    """Decibels; infinite for equal pictures."""
    if got[:3] != want[:3]:
        raise ValueError(f"expected a picture of {want[:3]}, got one of {got[:3]}")
    error = sum((a - b) ** 2 for a, b in zip(got[3], want[3])) / len(want[3])
    return math.inf if error == 0 else 10 * math.log10(255 ** 2 / error)


def compare(options):
    with tempfile.TemporaryDirectory() as folder:
        drawn = options.keep or pathlib.Path(folder) / "drawn.png"
        begun = time.monotonic()
        command = [*options.program, "imagine", *ASKED, "-o", str(drawn)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=options.timeout,
                              env={"HOME": folder, "PATH": "/usr/bin:/bin"})
        if done.returncode != 0:
            raise ValueError(f"the program ended with {done.returncode}: {done.stderr[-500:]}")
        seconds = time.monotonic() - begun
        alike = psnr(read_png(drawn), read_png(options.expected))
    if alike <= options.psnr:
        raise ValueError(f"expected more than {options.psnr} dB, got {alike:.1f} dB")
    return f"{alike:.1f} dB after {seconds:.1f} s"


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--expected", required=True)
    parser.add_argument("--psnr", type=float, default=50)
    parser.add_argument("--timeout", type=float, default=1200)
    parser.add_argument("--name", default="picture_once")
    parser.add_argument("--junit")
    parser.add_argument("--keep", type=pathlib.Path, help="where to leave the picture")
    parser.add_argument("program", nargs="+")
    return judged(compare, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
