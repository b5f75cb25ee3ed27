"""Noise schedule and sampling in torch: SDXL's sigmas, DPM++ 2M on Karras sigmas, guidance; as the server samples."""

import torch

from model import CONTEXT, LATENT_SCALE


def alphas():
  """Cumulative alphas of SDXL's 1000 steps."""
  betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64) ** 2
  return torch.cumprod(1 - betas, 0)


def sigmas_of_table():
  a = alphas()
  return ((1 - a) / a).sqrt().float()


def karras(steps):
  table = sigmas_of_table()
  ramp = torch.linspace(0, 1, steps)
  low, high = float(table[0]) ** (1 / 7), float(table[-1]) ** (1 / 7)
  return torch.cat([(high + ramp * (low - high)) ** 7, torch.zeros(1)])


def start_noise(seed):
  """The server's start noise of one 128x128 picture."""
  return torch.randn(1, 4, 16, 16, generator=torch.Generator("cpu").manual_seed(seed))


def token_batch(words, texts, device):
  """Texts to (ids padded with 0, places of END)."""
  rows = [words.padded(text) for text in texts]
  return (torch.tensor([r[1] for r in rows], device=device).view(-1, CONTEXT),
          torch.tensor([r[2] for r in rows], device=device))


@torch.no_grad()
def draw(sprite, words, prompts, seeds, steps=20, cfg=4.0, negative="", device="cuda", chunk=256):
  """Pictures [N,128,128,3] uint8 of the prompts."""
  out = []
  half = torch.autocast("cuda", torch.bfloat16, enabled=str(device).startswith("cuda"))
  for i in range(0, len(prompts), chunk):
    part = prompts[i:i + chunk]
    n = len(part)
    ids, ends = token_batch(words, part + [negative] * n, device)
    size = torch.tensor([[128.0, 128, 0, 0, 128, 128]], device=device).expand(2 * n, -1)
    table, sigmas = sigmas_of_table().to(device), karras(steps)
    x = torch.cat([start_noise(s) for s in seeds[i:i + chunk]]).to(device) * (1 + sigmas[0] ** 2).sqrt()
    previous = None
    with half:
      context, pooled = sprite.words(ids, ends)
      from model import sinusoids
      y = torch.cat([pooled, sinusoids(size, 256).flatten(1).to(pooled.dtype)], -1)
      for k in range(steps):
        sigma, following = sigmas[k], sigmas[k + 1]
        t = (table.log() - sigma.log()).abs().argmin()
        scaled = (x / (sigma ** 2 + 1).sqrt()).repeat(2, 1, 1, 1)
        eps = sprite.unet(scaled, t.float().expand(2 * n), context, y).float()
        eps = eps[n:] + (eps[:n] - eps[n:]) * cfg
        denoised = x - sigma * eps
        if previous is None or following == 0:
          x = denoised if following == 0 else (following / sigma) * x - (following / sigma - 1) * denoised
        else:
          h, h_last = (sigma / following).log(), (sigmas[k - 1] / sigma).log()
          r = h_last / h
          mixed = (1 + 1 / (2 * r)) * denoised - (1 / (2 * r)) * previous
          x = (following / sigma) * x - (following / sigma - 1) * mixed
        previous = denoised
      pictures = sprite.vae.decode(x / LATENT_SCALE).float()
    out.append(((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu())
  return torch.cat(out).numpy()
