"""The features that judge pictures, fixed before training: a CIELAB thumbnail and gradient histograms, in numpy."""

import numpy as np

THUMB, CELLS, BINS = 16, 8, 8


def lab(rgb):
  """CIELAB (D65) of sRGB in 0..1, last axis 3."""
  linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
  matrix = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                     [0.0193339, 0.1191920, 0.9503041]])
  xyz = linear @ matrix.T / np.array([0.95047, 1.0, 1.08883])
  f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
  return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def unit(x):
  return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)


def thumbnails(pictures):
  """Pictures [N,H,W,3] as uint8, on white, to unit vectors of their 16x16 CIELAB thumbnails."""
  n, height, width, _ = pictures.shape
  small = pictures.reshape(n, THUMB, height // THUMB, THUMB, width // THUMB, 3).astype(np.float64).mean((2, 4)) / 255
  return unit(lab(small).reshape(n, -1))


def gradients(pictures):
  """Pictures to unit vectors of 8x8 cells of orientation histograms weighted by the gradient's length."""
  n, height, width, _ = pictures.shape
  grey = pictures.astype(np.float64) @ np.array([0.299, 0.587, 0.114]) / 255
  dx, dy = np.zeros_like(grey), np.zeros_like(grey)
  dx[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
  dy[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
  length = np.hypot(dx, dy)
  turn = (np.arctan2(dy, dx) % np.pi) / np.pi * BINS
  low = np.floor(turn).astype(int) % BINS
  part = turn - np.floor(turn)
  out = np.zeros((n, CELLS, CELLS, BINS))
  for b in range(BINS):
    share = length * ((low == b) * (1 - part) + ((low + 1) % BINS == b) * part)
    out[..., b] = share.reshape(n, CELLS, height // CELLS, CELLS, width // CELLS).sum((2, 4))
  return unit(out.reshape(n, -1))


def features(pictures):
  """Pictures [N,128,128,3] uint8 to unit vectors; the cosine distance of two is 1 - their product."""
  step = 256
  parts = [np.concatenate([thumbnails(pictures[i:i + step]), gradients(pictures[i:i + step])], -1)
           for i in range(0, len(pictures), step)]
  return np.concatenate(parts) / np.sqrt(2)


def distances(a, b):
  return 1 - a @ b.T
