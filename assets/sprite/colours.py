"""Names of colours: which hue a name means, which colour a picture has, and which named colour wins in a picture."""

import numpy as np

# Hue in degrees, least saturation, factor and offset of the value that make a recoloured picture look like the name.
HUES = {"red": 2, "orange": 29, "yellow": 51, "green": 125, "blue": 214, "purple": 276, "pink": 332}
TARGETS = {  # hue, saturation scale, least saturation, exponent of the value, scale of the value
  "red": (2, 1.0, 0.70, 1.0, 0.95), "orange": (29, 1.0, 0.75, 0.6, 1.0), "yellow": (51, 1.0, 0.65, 0.45, 1.0),
  "green": (125, 1.0, 0.55, 1.0, 0.80), "blue": (214, 1.0, 0.60, 1.0, 0.98), "purple": (276, 1.0, 0.55, 1.0, 0.85),
  "pink": (332, 0.65, 0.35, 0.5, 1.0), "brown": (24, 0.9, 0.50, 1.0, 0.58), "black": (220, 0.06, 0.0, 1.0, 0.32),
  "white": (220, 0.05, 0.0, 0.25, 1.0), "gray": (220, 0.06, 0.0, 0.9, 0.68),
}
NAMES = list(TARGETS)
# The bands that evaluation counts: a hue belongs to the name whose band holds it.
BANDS = {"red": (345, 15), "orange": (15, 42), "yellow": (42, 68), "green": (68, 170), "blue": (170, 250),
         "purple": (250, 300), "pink": (300, 345)}
BACKGROUNDS = {
  "red": (222, 58, 52), "orange": (245, 140, 40), "yellow": (250, 210, 60), "green": (70, 170, 80),
  "blue": (66, 133, 230), "purple": (140, 80, 190), "pink": (245, 150, 185), "brown": (130, 90, 60),
  "black": (22, 22, 24), "gray": (150, 152, 156), "white": (255, 255, 255),
}


def hsv(rgb):
  """HSV of float RGB in 0..1, hue in degrees."""
  high, low = rgb.max(-1), rgb.min(-1)
  spread = high - low
  safe = np.where(spread == 0, 1, spread)
  r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
  hue = np.where(high == r, (g - b) / safe % 6, np.where(high == g, (b - r) / safe + 2, (r - g) / safe + 4)) * 60
  return np.where(spread == 0, 0, hue), spread / np.where(high == 0, 1, high), high


def distance(a, b):
  """Degrees between two hues."""
  return np.abs((a - b + 180) % 360 - 180)


def band_of(hue):
  """The named band of a hue."""
  for name, (low, high) in BANDS.items():
    if (low <= hue < high) if low < high else (hue >= low or hue < high):
      return name
  return "red"


def analyse(image):
  """How a sprite may be recoloured: kind 'hue' (one dominant hue), 'grey' or 'mixed'; its hue and natural colour."""
  rgba = np.asarray(image, dtype=np.float32) / 255
  seen = rgba[rgba[..., 3] > 0.5]
  if len(seen) < 50:
    return {"kind": "mixed", "hue": 0, "natural": None}
  hue, saturation, value = hsv(seen[:, :3])
  vivid = (saturation > 0.3) & (value > 0.25)
  share = float(vivid.mean())
  if share < 0.15:
    bright = float(value.mean())
    return {"kind": "grey", "hue": 0, "natural": "white" if bright > 0.85 else "black" if bright < 0.35 else "gray"}
  histogram, _ = np.histogram(hue[vivid], bins=72, range=(0, 360))
  smooth = sum(np.roll(histogram, k) for k in range(-5, 6))
  top = float(np.argmax(smooth) * 5 + 2.5)
  near = distance(hue, top) < 30
  dominant = float((vivid & near).sum() / vivid.sum())
  if share < 0.3 or dominant < 0.65:
    return {"kind": "mixed", "hue": round(top), "natural": None}
  around = (hue[vivid & near] - top + 180) % 360 - 180
  top = float(top + np.median(around)) % 360
  natural = band_of(top)
  if natural in ("orange", "red", "yellow") and float(np.median(value[vivid & near])) < 0.66:
    natural = "brown"
  return {"kind": "hue", "hue": round(top), "natural": natural}


def winner(rgb):
  """The named colour with most weight in the hue histogram of an RGB picture (0..255) on white, or None if it is
  grey."""
  hue, saturation, value = hsv(np.asarray(rgb, dtype=np.float32).reshape(-1, 3) / 255)
  vivid = (saturation > 0.25) & (value > 0.2)
  if vivid.mean() < 0.01:
    return None
  weights = saturation[vivid]
  votes = {name: 0.0 for name in BANDS}
  for degree, weight in zip(*np.histogram(hue[vivid], bins=360, range=(0, 360), weights=weights)[::-1]):
    votes[band_of(degree)] += float(weight)
  return max(votes, key=votes.get)
