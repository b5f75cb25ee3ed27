#!/usr/bin/env python3
"""Packs a 16-bit safetensors file for the repository, and unpacks it again byte for byte.

    python assets/sprite/packed.py pack build/sprite/sprite.safetensors assets/sprite/sprite.packed
    python assets/sprite/packed.py unpack assets/sprite/sprite.packed build/sprite/sprite.safetensors

The weights have few mantissa bits left, so their low bytes say little: the packed file is zstd over one stream of
  8 bytes "HEARTHP1", 8 bytes little-endian size N, N bytes as they are (header and position ids),
  then the high bytes of all 16-bit numbers, then their low bytes.
"""

import argparse
import json
import struct
import subprocess
from pathlib import Path

MAGIC = b"HEARTHP1"


def start_of_halves(raw):
  """Where the 16-bit tensors begin: everything before is kept as it is."""
  size = struct.unpack("<Q", raw[:8])[0]
  header = json.loads(raw[8:8 + size])
  offsets = [t["data_offsets"][0] for name, t in header.items() if name != "__metadata__" and t["dtype"] in ("F16", "BF16")]
  return 8 + size + min(offsets)


def pack(source, out, level):
  raw = Path(source).read_bytes()
  start = start_of_halves(raw)
  stream = MAGIC + struct.pack("<Q", start) + raw[:start] + raw[start + 1::2] + raw[start::2]
  subprocess.run(["zstd", "-q", "-f", "--ultra", f"-{level}", "-o", str(out)], input=stream, check=True)


def unpack(source, out):
  stream = subprocess.run(["zstd", "-q", "-d", "-c", str(source)], check=True, capture_output=True).stdout
  if stream[:8] != MAGIC:
    raise SystemExit(f"{source} is not a packed model: it should begin with {MAGIC.decode()} once unpacked")
  start = struct.unpack("<Q", stream[8:16])[0]
  body = stream[16 + start:]
  halves = bytearray(len(body))
  halves[1::2], halves[0::2] = body[:len(body) // 2], body[len(body) // 2:]
  Path(out).write_bytes(stream[16:16 + start] + halves)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("verb", choices=["pack", "unpack"])
  parser.add_argument("source")
  parser.add_argument("out")
  parser.add_argument("--level", type=int, default=19)
  options = parser.parse_args()
  if options.verb == "pack":
    pack(options.source, options.out, options.level)
  else:
    unpack(options.source, options.out)


if __name__ == "__main__":
  main()
