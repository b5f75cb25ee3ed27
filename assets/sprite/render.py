"""Draws recipes in batches on the GPU: sprites placed, mirrored, recoloured and composited over a background."""

import io
import zipfile

import numpy as np
import torch
import torch.nn.functional as F

import colours

SIZE = 128


def load_pictures(path, count=None):
  """The pack's bitmaps as one uint8 tensor [N,4,136,136]: premultiplied RGBA in the middle of a square."""
  from concurrent.futures import ThreadPoolExecutor
  from PIL import Image
  with zipfile.ZipFile(path) as pack:
    names = sorted(n for n in pack.namelist() if n.startswith("png/"))[:count]
    blobs = [pack.read(n) for n in names]

  def decode(blob):
    rgba = np.asarray(Image.open(io.BytesIO(blob)).convert("RGBA")).astype(np.uint16)
    canvas = np.zeros((136, 136, 4), np.uint8)
    top, left = (136 - rgba.shape[0]) // 2, (136 - rgba.shape[1]) // 2
    flat = np.concatenate([(rgba[..., :3] * rgba[..., 3:] + 127) // 255, rgba[..., 3:]], -1)
    canvas[top:top + rgba.shape[0], left:left + rgba.shape[1]] = flat
    return canvas.transpose(2, 0, 1)

  with ThreadPoolExecutor(8) as pool:
    return torch.from_numpy(np.stack(list(pool.map(decode, blobs))))


def rgb_to_hsv(rgb):
  """[B,3,H,W] in 0..1 to hue in degrees, saturation, value, each [B,H,W]."""
  high, which = rgb.max(1)
  spread = high - rgb.amin(1)
  safe = spread.clamp_min(1e-6)
  r, g, b = rgb.unbind(1)
  hue = torch.where(which == 0, (g - b) / safe % 6,
                    torch.where(which == 1, (b - r) / safe + 2, (r - g) / safe + 4)) * 60
  return torch.where(spread < 1e-5, torch.zeros_like(hue), hue), spread / high.clamp_min(1e-6), high


def hsv_to_rgb(hue, saturation, value):
  """The inverse of rgb_to_hsv."""
  def channel(n):
    k = (n + hue / 60) % 6
    return value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1)
  return torch.stack([channel(5), channel(3), channel(1)], 1)


def recolour(rgb, target, hue, grey):
  """Turns each picture's dominant hue [B] (or its greys, where `grey` [B]) into the target colour [B] of
  colours.TARGETS."""
  table = torch.tensor(list(colours.TARGETS.values()), device=rgb.device)[target]
  aim, scale, least, power, gain = [v[:, None, None] for v in table.unbind(1)]
  h, s, v = rgb_to_hsv(rgb)
  away = (h - hue[:, None, None] + 180) % 360 - 180
  near = ((58 - away.abs()) / 18).clamp(0, 1) * ((s - 0.08) / 0.12).clamp(0, 1)
  part = torch.where(grey[:, None, None], torch.ones_like(near), near)
  turned = aim + torch.where(grey[:, None, None], torch.zeros_like(away), away * 0.35)
  lively = (s * scale).maximum(least * (0.55 + 0.45 * s)) if scale.numel() else s
  lively = torch.where(grey[:, None, None], least.expand_as(s) * 0.85 + s * 0.1 * scale, lively).clamp(0, 1)
  depth = torch.where(grey[:, None, None], 0.22 + 0.78 * v, v) ** power * gain
  painted = hsv_to_rgb(turned % 360, lively, depth.clamp(0, 1))
  return rgb + (painted - rgb) * part[:, None]


def place_sprites(pictures, sprite, place, colour, looks):
  """One layer of sprites as premultiplied RGBA [B,4,SIZE,SIZE], drawn at twice the size and averaged."""
  rgba = pictures[sprite.clamp_min(0)].float() / 255
  kind_hue, kind_grey = looks
  coloured = colour >= 0
  if coloured.any():
    alpha = rgba[:, 3:]
    straight = rgba[:, :3] / alpha.clamp_min(1e-3)
    painted = recolour(straight.clamp(0, 1), colour.clamp_min(0), kind_hue[sprite.clamp_min(0)],
                       kind_grey[sprite.clamp_min(0)])
    rgba = torch.where(coloured[:, None, None, None], torch.cat([painted * alpha, alpha], 1), rgba)
  scale, x, y, mirror = place.unbind(1)
  zero = torch.zeros_like(scale)
  inverse = 1 / scale.clamp_min(0.05)
  theta = torch.stack([torch.stack([inverse * mirror, zero, -x * inverse * mirror], 1),
                       torch.stack([zero, inverse, -y * inverse], 1)], 1)
  grid = F.affine_grid(theta, (len(sprite), 4, 2 * SIZE, 2 * SIZE), align_corners=False)
  layer = F.avg_pool2d(F.grid_sample(rgba, grid, padding_mode="zeros", align_corners=False), 2)
  return layer * (sprite >= 0)[:, None, None, None]


def render(pictures, looks, recipe):
  """Recipes (a dict of tensors as captions.Sampler.batch makes) to pictures [B,3,SIZE,SIZE] in -1..1."""
  image = (recipe["ground"] / 255)[:, :, None, None].expand(-1, -1, SIZE, SIZE)
  for k in range(recipe["sprite"].shape[1]):
    if k and not (recipe["sprite"][:, k] >= 0).any():
      continue
    layer = place_sprites(pictures, recipe["sprite"][:, k].long(), recipe["place"][:, k],
                          recipe["colour"][:, k].long(), looks)
    image = layer[:, :3] + image * (1 - layer[:, 3:])
  shrink = recipe["shrink"]
  for n in torch.nonzero(shrink < 1).flatten().tolist():
    small = max(16, round(SIZE * float(shrink[n])))
    low = F.interpolate(image[n:n + 1], size=(small, small), mode="area")
    image = image.clone() if not image.is_contiguous() else image
    image[n:n + 1] = F.interpolate(low, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
  return image.clamp(0, 1) * 2 - 1


def looks_of(entries, device):
  """Dominant hue and greyness of every entry, for recolouring."""
  hue = torch.tensor([float(e["colour"]["hue"]) for e in entries], device=device)
  grey = torch.tensor([e["colour"]["kind"] == "grey" for e in entries], device=device)
  return hue, grey


def plain_recipe(indices, scale=0.94, device="cpu"):
  """The recipe of the references: each sprite alone, centred, on white."""
  count = len(indices)
  return {"sprite": torch.tensor([[i, -1] for i in indices], device=device),
          "place": torch.tensor([[[scale, 0, 0, 1], [1, 0, 0, 1]]], device=device).repeat(count, 1, 1),
          "colour": torch.full((count, 2), -1, device=device), "ground": torch.full((count, 3), 255.0, device=device),
          "shrink": torch.ones(count, device=device)}
