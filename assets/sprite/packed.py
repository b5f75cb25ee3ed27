#!/usr/bin/env python3
"""Packs a 16-bit safetensors file for the repository, and unpacks it again byte for byte.

    python3 assets/sprite/packed.py pack build/sprite/sprite.safetensors assets/sprite/sprite.packed
    python3 assets/sprite/packed.py unpack assets/sprite/sprite.packed build/sprite/sprite.safetensors
    python3 assets/sprite/packed.py unpack --about assets/sprite/about.json FROM TO

`--about` adds the texts of a JSON object to the metadata of what is unpacked; its tensors stay as they are.

The weights of a matrix are few distinct numbers, so the packed file keeps each matrix as a table of its numbers, the
most frequent first, and the place in the table of every weight. It is zstd over one stream of
  8 bytes "HEARTHP1", the SHA-256 of the unpacked file, 8 bytes little-endian N, N bytes as they are (header, position
  ids), for every 16-bit tensor, in the file's order: 4 bytes little-endian T and T numbers; T = 0: no table, the
  weights themselves, the low bytes of all places, then their high bytes.
Needs the program zstd and nothing of Python but its own library: the build runs `unpack`.
"""

import argparse
import collections
import hashlib
import itertools
import json
import os
import struct
import subprocess
import sys
from array import array
from pathlib import Path

MAGIC = b"HEARTHP1"


def halves(head):
  """(count of numbers of every 16-bit tensor in the file's order, where the first begins)."""
  size = struct.unpack("<Q", head[:8])[0]
  tensors = [t for name, t in json.loads(head[8:8 + size]).items() if name != "__metadata__"]
  spans = sorted(t["data_offsets"] for t in tensors if t["dtype"] in ("F16", "BF16"))
  return [(end - begin) // 2 for begin, end in spans], 8 + size + spans[0][0]


def words(data):
  """16-bit little-endian numbers."""
  numbers = array("H", bytes(data))
  if sys.byteorder == "big":
    numbers.byteswap()
  return numbers


def packed(raw):
  """The stream of a safetensors file."""
  counts, start = halves(raw)
  tables, places, at = [], array("H"), start
  for count in counts:
    weights = words(raw[at:at + 2 * count])
    at += 2 * count
    table = [weight for weight, _ in collections.Counter(weights).most_common()]
    if 4 * len(table) > count:
      table = []
    rank = {weight: place for place, weight in enumerate(table)}
    places.extend(map(rank.__getitem__, weights) if table else weights)
    tables.append(struct.pack(f"<I{len(table)}H", len(table), *table))
  if at != len(raw):
    raise SystemExit("the 16-bit tensors do not end the file: nothing else may stand behind them")
  body = struct.pack(f"<{len(places)}H", *places)
  return b"".join([MAGIC, hashlib.sha256(raw).digest(), struct.pack("<Q", start), raw[:start], *tables, body[::2],
                   body[1::2]])


def unpacked(stream):
  """The safetensors file of a stream."""
  if stream[:8] != MAGIC:
    raise SystemExit(f"not a packed model: it should begin with {MAGIC.decode()} once unpacked")
  start = struct.unpack("<Q", stream[40:48])[0]
  raw, at = bytearray(stream[48:48 + start]), 48 + start
  counts, _ = halves(raw)
  tables = []
  for _ in counts:
    size = struct.unpack("<I", stream[at:at + 4])[0]
    tables.append(words(stream[at + 4:at + 4 + 2 * size]))
    at += 4 + 2 * size
  total = sum(counts)
  body = bytearray(2 * total)
  body[::2], body[1::2] = stream[at:at + total], stream[at + total:]
  places = iter(words(body))
  for count, table in zip(counts, tables):
    part = itertools.islice(places, count)
    weights = array("H", map(table.__getitem__, part) if table else part)
    if sys.byteorder == "big":
      weights.byteswap()
    raw += weights.tobytes()
  if hashlib.sha256(raw).digest() != stream[8:40]:
    raise SystemExit("the packed model is damaged: what it unpacks to does not have the SHA-256 that it names")
  return raw


def pack(source, out, level):
  subprocess.run(["zstd", "-q", "-f", "--ultra", f"-{level}", "-o", str(out)], input=packed(Path(source).read_bytes()),
                 check=True)


def with_metadata(raw, about):
  """A safetensors file with more texts in its metadata."""
  size = struct.unpack("<Q", raw[:8])[0]
  header = json.loads(raw[8:8 + size])
  header["__metadata__"] = {**header.get("__metadata__", {}), **about}
  text = json.dumps(header, separators=(",", ":")).encode()
  text += b" " * (-len(text) % 8)
  return struct.pack("<Q", len(text)) + text + raw[8 + size:]


def unpack(source, out, about=None):
  told = subprocess.run(["zstd", "-q", "-d", "-c", str(source)], capture_output=True)
  if told.returncode != 0:
    raise SystemExit(f"zstd cannot read {source}: {told.stderr.decode(errors='replace').strip()}")
  part = Path(f"{out}.part")
  part.parent.mkdir(parents=True, exist_ok=True)
  raw = unpacked(told.stdout)
  part.write_bytes(with_metadata(raw, json.loads(Path(about).read_text("utf-8"))) if about else raw)
  os.replace(part, out)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("verb", choices=["pack", "unpack"])
  parser.add_argument("source")
  parser.add_argument("out")
  parser.add_argument("--level", type=int, default=19)
  parser.add_argument("--about", help="unpack: a JSON object of texts to add to the metadata")
  options = parser.parse_args()
  if options.verb == "pack":
    pack(options.source, options.out, options.level)
  else:
    unpack(options.source, options.out, options.about)


if __name__ == "__main__":
  main()
