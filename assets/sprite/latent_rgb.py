#!/usr/bin/env python3
"""Fits the colours of the model's latents, for quick previews, and writes what the build adds to the model's metadata.

    hearth imagine --from assets/sprite/prompts.txt --seeds 1..2 --out drawn
    python assets/sprite/latent_rgb.py build/sprite/sprite.safetensors drawn > assets/sprite/about.json

Least squares from the four channels of a scaled latent, as the model's own VAE encodes the pictures of a folder, to the
mean colour of the 8x8 pixels over it, in -1..1. Previews are cut off at both ends, so beyond white counts as white. A
tenth of the pictures is kept apart: what the map is off there goes to the error stream, beside what SDXL's map is.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from checkpoint import load_model

SCALE = 0.13025
SDXL = np.array([[0.3651, 0.4232, 0.4341], [-0.2533, -0.0042, 0.1068], [0.1076, 0.1111, -0.0362],
                 [-0.3165, -0.2492, -0.2188], [0.1084, -0.0175, -0.0011]])


def samples(vae, file):
  """(latent pixels with a 1 behind [n, 5], colours over them [n, 3]) of one picture."""
  pixels = np.asarray(Image.open(file).convert("RGB"), np.float32) / 127.5 - 1
  with torch.no_grad():
    latent = vae.encode(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].numpy() * SCALE
  channels, height, width = latent.shape
  colours = pixels[:height * 8, :width * 8].reshape(height, 8, width, 8, 3).mean((1, 3))
  rows = latent.reshape(channels, -1).T
  return np.concatenate([rows, np.ones((len(rows), 1))], 1), colours.reshape(-1, 3)


def fit(rows, colours, rounds=100):
  """The map [5, 3] whose cut-off colours are nearest."""
  fitted, ends = np.linalg.lstsq(rows, colours, rcond=None)[0], np.abs(colours) > 0.99
  for _ in range(rounds):
    shown = rows @ fitted
    is_beyond = ends & (shown * colours > 1)
    fitted = np.linalg.lstsq(rows, np.where(is_beyond, shown, colours), rcond=None)[0]
  return fitted


def error(rows, colours, fitted):
  """Mean distance of a colour from what previews show, of 255."""
  shown = np.clip(rows @ fitted, -1, 1)
  return np.abs(shown - colours).mean() * 127.5


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("model")
  parser.add_argument("pictures", type=Path)
  options = parser.parse_args()
  vae = load_model(options.model).vae.eval()
  files = sorted(file for file in options.pictures.glob("*.png") if file.name != "contact-sheet.png")
  if len(files) < 10:
    raise SystemExit(f"{options.pictures} holds {len(files)} pictures; ten at least, best a hundred")
  pairs = [samples(vae, file) for file in files]
  known, kept = ([np.concatenate(part) for part in zip(*chosen)]
                 for chosen in ([pair for i, pair in enumerate(pairs) if i % 10], pairs[::10]))
  fitted = fit(*known)
  print(f"{len(files)} pictures; off by {error(*kept, fitted):.1f} of 255, SDXL's map by {error(*kept, SDXL):.1f}",
        file=sys.stderr)
  rows = [[round(float(number), 4) for number in row] for row in fitted]
  print(json.dumps({"hearth.latent_rgb": json.dumps(rows)}))


if __name__ == "__main__":
  main()
