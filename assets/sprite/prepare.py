#!/usr/bin/env python3
"""Packs the training data: Noto Color Emoji bitmaps with names and keywords from CLDR, and CLIP tokens of every word.

    apt install fonts-noto-color-emoji unicode-cldr-core unicode-data python3-fonttools python3-pil python3-numpy
    python assets/sprite/prepare.py

Writes one zip of PNG files and JSON (about 12 MB) that train.py reads; needs no network and takes a minute.
"""

import argparse
import io
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import captions  # noqa: E402
import colours  # noqa: E402
from clip_words import Words  # noqa: E402

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
CLDR = Path("/usr/share/unicode/cldr/common")
NAMES = Path("/usr/share/unicode/emoji/emoji-test.txt")
PACKAGES = {FONT: "fonts-noto-color-emoji", CLDR / "annotations/en.xml": "unicode-cldr-core", NAMES: "unicode-data"}
TONES = range(0x1F3FB, 0x1F400)
VARIATION, JOINER = 0xFE0F, 0x200D


def missing_packages():
  """Names of the Debian packages that are not installed."""
  missing = [name for path, name in PACKAGES.items() if not path.exists()]
  for module, name in (("fontTools", "python3-fonttools"), ("PIL", "python3-pil"), ("numpy", "python3-numpy")):
    try:
      __import__(module)
    except ImportError:
      missing.append(name)
  return missing


def read_sequences():
  """Every fully qualified sequence of emoji-test.txt as (code points, name, group, subgroup)."""
  group = subgroup = ""
  for line in NAMES.read_text("utf-8").splitlines():
    if line.startswith("# group:"):
      group = line.split(":", 1)[1].strip()
    elif line.startswith("# subgroup:"):
      subgroup = line.split(":", 1)[1].strip()
    elif "; fully-qualified" in line:
      points, rest = line.split(";", 1)
      name = re.sub(r"^.*? E\d+\.\d+ ", "", rest.split("#", 1)[1])
      yield tuple(int(p, 16) for p in points.split()), name.strip(), group, subgroup


def read_keywords():
  """Keywords of CLDR's English annotations, by sequence without variation selectors."""
  keywords = {}
  for folder in ("annotations", "annotationsDerived"):
    for node in ElementTree.parse(CLDR / folder / "en.xml").getroot().iter("annotation"):
      if node.get("type") != "tts":
        key = tuple(ord(c) for c in node.get("cp") if ord(c) != VARIATION)
        keywords[key] = [word.strip() for word in node.text.split("|")]
  return keywords


class Glyphs:
  """Finds the bitmap of a code point sequence: the font's character map, then its ligatures."""

  def __init__(self):
    from fontTools.ttLib import TTFont
    font = TTFont(str(FONT))
    self.bitmaps = font["CBDT"].strikeData[0]
    self.cmap = font.getBestCmap()
    self.ligatures = {}
    for lookup in font["GSUB"].table.LookupList.Lookup:
      for table in lookup.SubTable:
        table = getattr(table, "ExtSubTable", table)
        for first, ligatures in (getattr(table, "ligatures", None) or {}).items():
          for ligature in ligatures:
            self.ligatures[(first, *ligature.Component)] = ligature.LigGlyph

  def png(self, points):
    """PNG bytes of the sequence, or None where the font has no picture of its own for it."""
    for kept in (points, tuple(p for p in points if p != VARIATION)):
      names = tuple(self.cmap.get(p) for p in kept)
      if None in names:
        continue
      glyph = names[0] if len(names) == 1 else self.ligatures.get(names)
      if glyph in self.bitmaps:
        return self.bitmaps[glyph].imageData
    return None


def concept_of(points, group, subgroup, name):
  """The concept a sequence counts as: skin tones, flags and families count once."""
  if group == "Flags":
    return "flag"
  if subgroup == "family":
    return "family" if name.split(":")[0] == "family" else name.split(":")[0]
  return " ".join(f"{p:X}" for p in points if p not in TONES and p != VARIATION)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--merges", default=captions.find_merges(), help="CLIP's merge rules, plain or .gz")
  parser.add_argument("--out", default="build/sprite/data.zip")
  options = parser.parse_args()
  missing = missing_packages()
  if missing:
    sys.exit("missing: install it with\n  apt install " + " ".join(missing))
  if not options.merges:
    sys.exit("CLIP's merge rules were not found: name the file with --merges")
  from PIL import Image

  glyphs, keywords, words = Glyphs(), read_keywords(), Words(options.merges)
  entries, pictures, lost = [], [], []
  for points, name, group, subgroup in read_sequences():
    png = glyphs.png(points)
    if png is None:
      lost.append(name)
      continue
    bare = tuple(p for p in points if p != VARIATION)
    entry = {"name": name, "group": group, "subgroup": subgroup, "points": " ".join(f"{p:X}" for p in points),
             "concept": concept_of(points, group, subgroup, name), "tone": any(p in TONES for p in points),
             "keywords": keywords.get(bare, [])}
    entry["colour"] = colours.analyse(Image.open(io.BytesIO(png)).convert("RGBA"))
    entries.append(entry)
    pictures.append(png)
  captions.add_phrases(entries)
  for text in captions.every_text(entries):
    words.tokens(text)
  out = Path(options.out)
  out.parent.mkdir(parents=True, exist_ok=True)
  with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as pack:
    for i, png in enumerate(pictures):
      pack.writestr(f"png/{i:05d}.png", png)
    meta = json.dumps({"entries": entries, "words": words.table}, ensure_ascii=False)
    pack.writestr("meta.json", meta, zipfile.ZIP_DEFLATED)
  concepts = len({e["concept"] for e in entries})
  rows = len({r for ids in words.table.values() for r in ids})
  print(f"{out}: {len(entries)} pictures of {concepts} concepts, {len(words.table)} words in {rows} token rows, "
        f"{out.stat().st_size / 1e6:.1f} MB; {len(lost)} sequences without a picture: {lost[:5]}")


if __name__ == "__main__":
  main()
