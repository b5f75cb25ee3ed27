"""CLIP's byte-pair vocabulary: words to token rows, from its list of merge rules (plain or .gz)."""

import gzip
import re
from functools import lru_cache
from pathlib import Path

START, END, CONTEXT, ROWS = 49406, 49407, 77, 49408
MERGES = 49152 - 256 - 2  # how many merge rules CLIP's vocabulary uses
_PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)


def byte_letters():
  """The letter that stands for each byte, in the order of the vocabulary's first 256 rows."""
  plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
  rest = [b for b in range(256) if b not in set(plain)]
  letters = {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(rest)}
  return letters, plain + rest


class Words:
  """Splits text into CLIP's tokens. Give it either the merge rules, or the table of words that a data pack holds."""

  def __init__(self, merges=None, table=None):
    self.table = dict(table or {})
    self.ranks = {}
    if merges:
      self.letters, order = byte_letters()
      path = Path(merges)
      text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text("utf-8")
      lines = [line for line in text.split("\n") if line.strip() and not line.startswith(("#version", '"bpe_simple'))]
      rules = [tuple(line.split()) for line in lines][:MERGES]
      first = [self.letters[b] for b in order]
      rows = first + [x + "</w>" for x in first] + ["".join(r) for r in rules]
      self.rows = {piece: i for i, piece in enumerate(rows)}
      self.ranks = {rule: i for i, rule in enumerate(rules)}

  @lru_cache(maxsize=None)
  def word(self, piece):
    """Token rows of one word without spaces."""
    if piece in self.table:
      return self.table[piece]
    if not self.ranks:
      raise KeyError(f"the data pack does not know the word '{piece}': tokenise it with the merge rules (--merges)")
    parts = [self.letters[b] for b in piece.encode("utf-8")]
    parts[-1] += "</w>"
    while len(parts) > 1:
      best = min(zip(parts, parts[1:]), key=lambda pair: self.ranks.get(pair, 1 << 30))
      if best not in self.ranks:
        break
      joined, i = [], 0
      while i < len(parts):
        if i + 1 < len(parts) and (parts[i], parts[i + 1]) == best:
          joined.append(parts[i] + parts[i + 1])
          i += 2
        else:
          joined.append(parts[i])
          i += 1
      parts = joined
    self.table[piece] = [self.rows[p] for p in parts]
    return self.table[piece]

  def tokens(self, text):
    """Token rows of a text, without start and end."""
    return [row for piece in _PIECES.findall(text.lower()) for row in self.word(piece)]

  def padded(self, text):
    """(ids padded with END for the first encoder, ids padded with 0 for the second, place of END), each CONTEXT
    long."""
    ids = [START, *self.tokens(text)[: CONTEXT - 2], END]
    room = CONTEXT - len(ids)
    return ids + [END] * room, ids + [0] * room, len(ids) - 1
