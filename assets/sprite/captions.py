"""Captions and recipes: which words name a sprite, and random training samples as (words, picture recipe) pairs.

A recipe says how a picture is put together (which sprites, where, in which colours, on what background); render.py
draws it. The combinations of colour and object in heldout.json are never drawn.
"""

import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

import colours

HERE = Path(__file__).resolve().parent
RECOLOURS = list(colours.TARGETS)
MIRRORED = 0.12  # share of mirrored sprites where the caption stays true
ALIASES = {  # the everyday word where the Unicode name is another
  "automobile": "car", "red apple": "apple", "airplane": "plane", "mobile phone": "phone", "deciduous tree": "tree",
  "sport utility vehicle": "suv", "delivery truck": "truck", "desktop computer": "computer", "red heart": "heart",
  "closed book": "book", "shortcake": "cake", "soccer ball": "football", "teacup without handle": "cup of tea",
  "hot beverage": "coffee", "t-shirt": "shirt", "running shoe": "shoe", "light bulb": "lamp",
  "jack-o-lantern": "pumpkin",
  "police car": "police car", "locomotive": "train", "small airplane": "small plane", "passenger ship": "ship",
  "french fries": "fries", "hatching chick": "chick", "lady beetle": "ladybug", "high-heeled shoe": "high heel",
  "top hat": "hat", "crescent moon": "moon", "cat face": "cat", "dog face": "dog", "grinning face": "smiling face",
  "wrapped gift": "gift", "tropical fish": "colourful fish", "red envelope": "envelope", "hamburger": "burger",
}
PLAIN = ["{a}", "{x}", "an icon of {a}", "a picture of {a}", "a drawing of {a}", "a sprite of {a}", "{x} emoji",
         "{x} icon"]
PLAIN_SHARES = np.array([0.46, 0.26, 0.06, 0.05, 0.05, 0.04, 0.04, 0.04])
GROUNDS = ["{t} on {a} background", "{t} with {a} background", "{t}, {c} background"]
SIZES = {"tiny": 0.35, "small": 0.55, "big": 1.04}
PLACES = {"in the top left corner": (-1, -1), "in the top right corner": (1, -1), "on the left": (-1, 0),
          "in the bottom left corner": (-1, 1), "in the bottom right corner": (1, 1), "on the right": (1, 0),
          "at the top": (0, -1), "at the bottom": (0, 1)}
# A mirrored picture of these would no longer be what its caption says.
FIXED = re.compile(r"left|right|arrow|clock|o’clock|button|keycap|letter|input|flag|sign|number|hand|fist|thumb|back|"
                   r"east|west|reverse|eject|play|fast|next|last|pen|tm|mark|calendar|abc|map|globe|moon|scroll|speaker")
TONED = re.compile(r"^(.*?): (.*skin tone.*)$")


def find_merges():
  """Where CLIP's merge rules lie in this repository, if they do."""
  path = HERE.parent / "clip" / "merges.txt.gz"
  return path if path.exists() else None


def tidy(text):
  """A name as a person would type it."""
  text = text.lower().replace("’", "'").replace("ñ", "n").replace("é", "e").replace("ã", "a").replace("ç", "c")
  return " ".join(re.sub(r"[^a-z0-9#*&'. +-]", " ", text).split())


def phrase_of(name):
  """The plain phrase of a Unicode name."""
  head, _, tail = name.partition(": ")
  if head == "flag":
    return tidy(f"flag of {tail}")
  if head == "keycap":
    return tidy(f"keycap {tail}")
  if not tail:
    return tidy(name)
  parts = [p.strip() for p in tail.split(",")]
  if head in ("family", "kiss", "couple with heart"):
    people = [p for p in parts if "skin tone" not in p]
    return tidy(head + (" of " + " and ".join(people) if people else ""))
  tones = [p for p in parts if "skin tone" in p]
  hair = [p for p in parts if "skin tone" not in p]
  before = " ".join(h for h in hair if not re.search("hair|beard", h))
  after = " and ".join(h for h in hair if re.search("hair|beard", h))
  return tidy(f"{before} {head}" + (f" with {after}" if after else "")
              + (f" with {' and '.join(tones)}" if tones else ""))


def with_article(phrase):
  """The phrase with 'a' or 'an' where one belongs."""
  last = phrase.split(" with ")[0].split(" of ")[0].split()[-1]
  if re.match(r"(a|an|the|two|keycap|flag of) ", phrase) or (last.endswith("s") and not last.endswith(("ss", "us"))):
    return phrase
  return ("an " if phrase[0] in "aeiou" and not phrase.startswith(("uni", "euro", "one")) else "a ") + phrase


def add_phrases(entries):
  """Adds to each entry its phrases (the first is the main one), loose keywords, and the phrase that a colour
  precedes."""
  used = defaultdict(set)
  for entry in entries:
    for keyword in entry["keywords"]:
      used[tidy(keyword)].add(entry["concept"])
  mains = {phrase_of(e["name"]) for e in entries}
  for entry in entries:
    main = phrase_of(entry["name"])
    entry["phrases"] = [main]
    if entry["name"] in ALIASES:
      entry["phrases"].append(ALIASES[entry["name"]])
    if entry["name"].startswith("flag: "):
      entry["phrases"].append(tidy(entry["name"][6:]) + " flag")
    loose = [tidy(k) for k in entry["keywords"]]
    loose = [k for k in loose if k and k != main]
    entry["loose"] = loose
    if not entry["tone"] and entry["group"] != "Flags":
      entry["phrases"] += [k for k in loose if len(used[k]) == 1 and k not in mains and k not in entry["phrases"]]
    words = [w for w in main.split() if w not in colours.TARGETS]
    bare = ALIASES.get(entry["name"], " ".join(words) if words else main)
    coloured = any(w in colours.TARGETS for w in main.split())
    people = entry["group"] == "People & Body" or entry["group"] == "Flags"
    rigid = re.search("button|clock|keycap|arrow|hand|rainbow|sign", main)
    entry["object"] = bare if entry["colour"]["kind"] != "mixed" and not people and not rigid else None
    entry["named_colour"] = coloured
    entry["flip"] = not FIXED.search(entry["name"]) and entry["group"] not in ("Flags", "Symbols")


def every_text(entries):
  """Texts that together hold every word a caption may use, and every prompt the evaluation uses."""
  for entry in entries:
    for phrase in [*entry["phrases"], *entry["loose"], *filter(None, [entry["object"]])]:
      yield phrase
      yield phrase + ","  # a sign and the comma behind it are one word to the tokenizer
  yield from (t.format(a="a an", x="x") for t in PLAIN)
  yield from (t.format(t="x", c="x", a="a x") for t in GROUNDS)
  yield " ".join([*colours.TARGETS, *SIZES, *PLACES, "and in , ."])
  for name in ("prompts.txt", "heldin.json", "heldout.json"):
    path = HERE / name
    if path.exists():
      yield from path.read_text("utf-8").splitlines() if name.endswith("txt") else [
        item["caption"] for item in json.loads(path.read_text("utf-8"))]


def held_out():
  """The (colour, object phrase) pairs that training never shows."""
  path = HERE / "heldout.json"
  return {(i["colour"], i["object"]) for i in json.loads(path.read_text("utf-8"))} if path.exists() else set()


class Sampler:
  """Draws random samples. One concept is as likely as another; within it a toned or national variant takes its
  share."""

  def __init__(self, entries, words, seed):
    self.entries, self.words, self.rng = entries, words, np.random.default_rng(seed)
    self.held = held_out()
    groups = defaultdict(list)
    for i, entry in enumerate(entries):
      groups[entry["concept"]].append(i)
    self.concepts = list(groups.values())
    weights = np.array([min(30, max(1, len(g) / 8)) if entries[g[0]]["group"] == "Flags" else
                        3.0 if entries[g[0]]["concept"] in ("family", "kiss", "couple with heart") else
                        1.6 if len(g) > 1 else 1.0 for g in self.concepts])
    self.weights = np.cumsum(weights / weights.sum())
    self.colourable = [i for i, e in enumerate(entries) if e["object"]]

  def pick(self):
    """A random entry: toneless ones first, since captions without a tone mean them."""
    group = self.concepts[int(np.searchsorted(self.weights, self.rng.random()))]
    if len(group) == 1:
      return group[0]
    base = [i for i in group if not self.entries[i]["tone"]]
    if base and self.rng.random() < 0.6:
      return base[int(self.rng.integers(len(base)))]
    return group[int(self.rng.integers(len(group)))]

  def phrase(self, entry):
    phrases = entry["phrases"]
    if len(phrases) == 1 or self.rng.random() < 0.72:
      return phrases[0]
    return phrases[1 + int(self.rng.integers(len(phrases) - 1))]

  def plain(self, phrase):
    template = PLAIN[int(np.searchsorted(np.cumsum(PLAIN_SHARES), self.rng.random() * 0.9999))]
    return template.format(x=phrase, a=with_article(phrase))

  def colour_for(self, entry):
    names = [c for c in RECOLOURS if (c, entry["object"]) not in self.held]
    return names[int(self.rng.integers(len(names)))]

  def draw(self):
    """One sample: text, sprites [(entry, scale, x, y, mirrored, colour)], background RGB, size conditioning."""
    rng = self.rng
    kind = rng.random()
    ground, suffix_colour = (255, 255, 255), None
    sizes, shrink = [128, 128, 0, 0, 128, 128], 1.0
    colour = None
    # seeds must vary the picture: the room left by the scale decides how far it may move
    scale = rng.uniform(0.72, 1.0)
    room = min(0.12, 1.06 - scale)
    x, y = rng.uniform(-room, room), rng.uniform(-room, room)
    if kind < 0.26:
      index = self.colourable[int(rng.integers(len(self.colourable)))]
      entry = self.entries[index]
      colour = self.colour_for(entry)
      natural = entry["colour"]["natural"]
      if natural and rng.random() < 0.1 and (natural, entry["object"]) not in self.held:
        colour = None
        text = f"{natural} {entry['object']}"
      else:
        text = f"{colour} {entry['object']}"
      text = f"{entry['object']} in {text.split()[0]}" if rng.random() < 0.08 else self.plain(text)
    else:
      index = self.pick()
      entry = self.entries[index]
      text = self.plain(self.phrase(entry))
      if kind < 0.36 and entry["loose"]:
        count = int(rng.integers(1, 4))
        extra = [entry["loose"][int(j)] for j in rng.permutation(len(entry["loose"]))[:count]]
        text = ", ".join([text, *extra]) if rng.random() < 0.7 else ", ".join(extra)
    sprites = [[index, scale, x, y, bool(entry["flip"] and rng.random() < MIRRORED), colour]]
    second = rng.random()
    if second < 0.06 and kind >= 0.26:
      other = self.pick()
      text = f"{with_article(entry['phrases'][0])} and {with_article(self.entries[other]['phrases'][0])}"
      size = rng.uniform(0.46, 0.54)
      sprites[0][1:4] = [size, -0.48 + rng.uniform(-0.03, 0.03), rng.uniform(-0.1, 0.1)]
      sprites.append([other, size, 0.48 + rng.uniform(-0.03, 0.03), rng.uniform(-0.1, 0.1),
                      bool(self.entries[other]["flip"] and rng.random() < MIRRORED), None])
    elif second < 0.09:
      name = list(SIZES)[int(rng.integers(len(SIZES)))]
      text = f"a {name} {' '.join(text.split()[1:])}" if text.startswith(("a ", "an ")) else f"{name} {text}"
      sprites[0][1] = SIZES[name] * rng.uniform(0.94, 1.06)
    elif second < 0.11:
      name = list(PLACES)[int(rng.integers(len(PLACES)))]
      text = f"{text} {name}"
      sprites[0][1:4] = [rng.uniform(0.48, 0.56), PLACES[name][0] * 0.46, PLACES[name][1] * 0.46]
    elif second < 0.14:
      zoom, left, top = rng.uniform(1.2, 1.5), rng.uniform(0, 1), rng.uniform(0, 1)
      sprites[0][1:4] = [zoom, (zoom - 1) * (1 - 2 * left), (zoom - 1) * (1 - 2 * top)]
      room = (zoom - 1) * 128
      sizes = [round(128 * zoom), round(128 * zoom), round(room * top), round(room * left), 128, 128]
    if rng.random() < 0.2:
      suffix_colour = list(colours.BACKGROUNDS)[int(rng.integers(len(colours.BACKGROUNDS)))]
      jitter = rng.uniform(-16, 16, 3) if suffix_colour != "white" else np.zeros(3)
      ground = tuple(np.clip(np.array(colours.BACKGROUNDS[suffix_colour]) + jitter, 0, 255))
      text = GROUNDS[int(rng.random() * 3.4) % 3].format(t=text, c=suffix_colour, a=with_article(suffix_colour))
    if rng.random() < 0.04:
      shrink = rng.uniform(0.25, 0.7)
      sizes = [round(128 * shrink), round(128 * shrink), 0, 0, 128, 128]
    return text, sprites, ground, sizes, shrink

  def batch(self, count):
    """`count` samples as arrays for render.py and the encoders."""
    ids = np.zeros((count, 77), np.int32)
    ends = np.zeros(count, np.int32)
    sprite = np.full((count, 2), -1, np.int32)
    place = np.zeros((count, 2, 4), np.float32)
    colour = np.full((count, 2), -1, np.int32)
    ground = np.zeros((count, 3), np.float32)
    sizes = np.zeros((count, 6), np.float32)
    shrink = np.ones(count, np.float32)
    for n in range(count):
      text, sprites, back, size, small = self.draw()
      ids[n], _, ends[n] = self.words.padded(text)
      for k, (index, scale, x, y, mirrored, name) in enumerate(sprites):
        sprite[n, k], place[n, k] = index, (scale, x, y, -1 if mirrored else 1)
        colour[n, k] = RECOLOURS.index(name) if name else -1
      ground[n], sizes[n], shrink[n] = back, size, small
    return {"ids": ids, "ends": ends, "sprite": sprite, "place": place, "colour": colour, "ground": ground,
            "sizes": sizes, "shrink": shrink}
