#!/usr/bin/env python3
"""Trains the sprite model: VAE, then both text encoders with the UNet, then the export.

    python assets/sprite/train.py                                   everything, about 28 minutes on one H200
    python assets/sprite/train.py --stages vae --minutes-vae 4      one stage
    python assets/sprite/train.py --stages diffusion export --from build/sprite/diffusion.npz --minutes-diffusion 18

Needs PyTorch and the pack that prepare.py writes. Everything lies in GPU memory: the sprites, the recipes of a few
hundred thousand pictures with their captions, and their latents. Every stage writes <out>/<stage>.npz (weights to go on
from), its losses as CSV and contact sheets; it ends by the clock.
"""

import argparse
import csv
import json
import math
import multiprocessing
import os
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import captions  # noqa: E402
import checkpoint  # noqa: E402
import evaluate  # noqa: E402
import render  # noqa: E402
from clip_words import END, START, Words  # noqa: E402
from model import LATENT_SCALE, TINY, Sizes, Sprite, count  # noqa: E402
from sampling import alphas, draw  # noqa: E402

STARTED = time.monotonic()
_META = None


def say(text):
  print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


# --- data ------------------------------------------------------------------------------------------------------------

def recipes_of(job):
  seed, amount = job
  sampler = captions.Sampler(_META["entries"], Words(table=_META["words"]), seed)
  return sampler.batch(amount)


def make_recipes(meta, amount, seed, workers):
  """`amount` random samples, drawn by processes that are forked before the GPU is touched."""
  global _META
  _META = meta
  chunk = max(64, min(4000, amount // max(1, workers)))
  jobs = [(seed * 100003 + i, min(chunk, amount - i)) for i in range(0, amount, chunk)]
  if workers > 1:
    with multiprocessing.get_context("fork").Pool(workers) as pool:
      parts = pool.map(recipes_of, jobs, chunksize=1)
  else:
    parts = [recipes_of(job) for job in jobs]
  return {key: torch.from_numpy(np.concatenate([p[key] for p in parts])) for key in parts[0]}


class Data:
  """Sprites and recipes on the device."""

  def __init__(self, options):
    with zipfile.ZipFile(options.data) as pack:
      self.meta = json.loads(pack.read("meta.json"))
    self.recipes = make_recipes(self.meta, options.samples, options.seed, options.workers)
    say(f"{len(self.recipes['ends'])} recipes")
    self.words = Words(table=self.meta["words"])
    self.rows = sorted({0, START, END} | {row for ids in self.meta["words"].values() for row in ids})
    self.device = options.device
    self.pictures = render.load_pictures(options.data).to(self.device)
    self.looks = render.looks_of(self.meta["entries"], self.device)
    self.recipes = {key: value.to(self.device) for key, value in self.recipes.items()}
    say(f"{len(self.pictures)} sprites on {self.device}")

  def __len__(self):
    return len(self.recipes["ends"])

  def images(self, index):
    """Pictures of some recipes, -1..1."""
    return render.render(self.pictures, self.looks, {key: value[index] for key, value in self.recipes.items()})


# --- training tools --------------------------------------------------------------------------------------------------

class Average:
  """Exponential moving average of the trained parameters."""

  def __init__(self, parameters, decay):
    self.live, self.decay, self.steps = list(parameters), decay, 0
    self.mean = [p.detach().clone() for p in self.live]

  @torch.no_grad()
  def update(self):
    self.steps += 1
    torch._foreach_lerp_(self.mean, [p.detach() for p in self.live],
                         1 - min(self.decay, (1 + self.steps) / (10 + self.steps)))

  @torch.no_grad()
  def swap(self):
    for p, m in zip(self.live, self.mean):
      held = p.detach().clone()
      p.copy_(m)
      m.copy_(held)


class Curve:
  """Losses as CSV, smoothed for the console."""

  def __init__(self, path, names):
    self.file = open(path, "w", newline="")
    self.rows = csv.writer(self.file)
    self.rows.writerow(["step", "seconds", "rate", *names])
    self.names = names

  def add(self, step, rate, values):
    self.rows.writerow([step, round(time.monotonic() - STARTED, 1), f"{rate:.2e}", *(f"{v:.5f}" for v in values)])
    self.file.flush()
    say(f"step {step} rate {rate:.1e} " + " ".join(f"{n} {v:.4f}" for n, v in zip(self.names, values)))


class Clock:
  """The part of a stage's time that is over, 0 to 1; starts at the first call."""

  def __init__(self, minutes):
    self.seconds, self.begun = minutes * 60, None

  def part(self):
    self.begun = self.begun or time.monotonic()
    return (time.monotonic() - self.begun) / self.seconds


def half(device):
  return torch.autocast("cuda", torch.bfloat16, enabled=str(device).startswith("cuda"))


def compiled(function, options):
  if not options.compile:
    return function
  import torch._dynamo
  torch._dynamo.config.suppress_errors = True  # a part that does not compile runs as it is
  return torch.compile(function, dynamic=False)


def rate_at(step, part, peak, warm, fall):
  """Learning rate: a linear start, then level, then a cosine fall over the last `fall` of the time."""
  rate = peak * min(1.0, (step + 1) / warm)
  if fall > 0 and part > 1 - fall:
    rate *= 0.5 * (1 + math.cos(math.pi * min(1.0, (part - 1 + fall) / fall)))
  return max(rate, peak * 0.01)


# --- VAE -------------------------------------------------------------------------------------------------------------

def edges(x):
  return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def picture_loss(got, want):
  """Absolute error and error of the edges at three sizes."""
  plain = (got - want).abs().mean()
  shape = 0
  for _ in range(3):
    shape = shape + sum((a - b).abs().mean() for a, b in zip(edges(got), edges(want)))
    got, want = F.avg_pool2d(got, 2), F.avg_pool2d(want, 2)
  return plain, shape / 3


def vae_losses(vae, x, noise, kl_weight):
  mean, log_variance = vae.moments(x)
  mean, log_variance = mean.float(), log_variance.float()
  got = vae.decode(mean + noise * (0.5 * log_variance).exp()).float()
  plain, shape = picture_loss(got, x)
  kl = 0.5 * (mean ** 2 + log_variance.exp() - 1 - log_variance).mean()
  return plain + 0.7 * shape + kl_weight * kl, plain.detach(), shape.detach(), kl.detach()


def train_vae(sprite, data, options):
  vae, device = sprite.vae, options.device
  vae.to(memory_format=torch.channels_last)
  parameters = list(vae.parameters())
  optimiser = torch.optim.AdamW(parameters, lr=options.vae_rate, betas=(0.9, 0.99), weight_decay=1e-3,
                                fused=str(device).startswith("cuda"))
  average, curve = Average(parameters, 0.998), Curve(options.out / "vae.csv", ["loss", "plain", "edges", "kl"])
  losses, clock = compiled(lambda x, n, k: vae_losses(vae, x, n, k), options), Clock(options.minutes_vae)
  step, generator = 0, torch.Generator(device).manual_seed(options.seed)
  while clock.part() < 1 and step < options.most_steps:
    part = clock.part()
    index = torch.randint(len(data), (options.vae_batch,), device=device, generator=generator)
    x = data.images(index).contiguous(memory_format=torch.channels_last)
    noise = torch.randn(len(index), 4, x.shape[2] // 8, x.shape[3] // 8, device=device)
    rate = rate_at(step, part, options.vae_rate, 200, 0.6)
    for group in optimiser.param_groups:
      group["lr"] = rate
    with half(device):
      loss, *shown = losses(x, noise, torch.tensor(options.kl * min(1.0, step / 800), device=device))
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimiser.step()
    average.update()
    if step % 100 == 0:
      curve.add(step, rate, [loss.item(), *(s.item() for s in shown)])
    step += 1
  average.swap()
  say(f"VAE: {step} steps of {options.vae_batch}")
  normalise_latents(sprite, data, options)
  show_vae(sprite, data, options)
  save(sprite, data, options, "vae", ["first_stage_model."])


@torch.no_grad()
def normalise_latents(sprite, data, options):
  """Folds mean and spread of the latents into quant_conv and post_quant_conv, so that latent x 0.13025 is normal."""
  vae, rows = sprite.vae, []
  for k in range(0, min(len(data), 4096), 256):
    with half(options.device):
      rows.append(vae.encode(data.images(torch.arange(k, min(k + 256, len(data)), device=options.device))).float())
  z = torch.cat(rows).transpose(0, 1).flatten(1)
  centre, spread = z.mean(1), z.std(1) * LATENT_SCALE
  say(f"latents: mean {centre.tolist()}, spread {z.std(1).tolist()}")
  q, p = vae.quant_conv, vae.post_quant_conv
  q.weight[:4] /= spread[:, None, None, None]
  q.bias[:4] = (q.bias[:4] - centre) / spread
  q.bias[4:] -= 2 * spread.log()
  p.bias += (p.weight[:, :, 0, 0] * centre[None]).sum(1)
  p.weight *= spread[None, :, None, None]


@torch.no_grad()
def show_vae(sprite, data, options):
  x = data.images(torch.arange(32, device=options.device))
  with half(options.device):
    got = sprite.vae.decode(sprite.vae.encode(x)).float().clamp(-1, 1)
  error = ((got - x) ** 2).mean((1, 2, 3)) / 4
  say(f"VAE: PSNR {(-10 * error.log10()).mean().item():.2f} dB over 32 pictures")
  pairs = torch.stack([x, got], 1).flatten(0, 1)
  save_sheet(options.out / "vae.png", ((pairs + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy(), 16)


# --- diffusion -------------------------------------------------------------------------------------------------------

@torch.no_grad()
def cache_latents(sprite, data, options):
  """Scaled latents of all recipes in half precision."""
  out = torch.empty(len(data), 4, 16, 16, dtype=torch.float16, device=options.device)
  vae = sprite.vae.to(memory_format=torch.channels_last)
  for k in range(0, len(data), 500):
    index = torch.arange(k, min(k + 500, len(data)), device=options.device)
    with half(options.device):
      out[index] = (vae.encode(data.images(index).contiguous(memory_format=torch.channels_last)) * LATENT_SCALE).half()
  say(f"latents of {len(data)} pictures: mean {out.float().mean().item():.3f}, spread {out.float().std().item():.3f}")
  return out


def diffusion_parameters(sprite):
  """Parameters of text encoders and UNet, in two groups: matrices (decayed) and the rest."""
  chosen = [(n, p) for n, p in sprite.named_parameters() if not n.startswith("first_stage_model.") and p.requires_grad]
  unused = checkpoint.LAST_OF_FIRST.format(sprite.sizes.first_layers - 1)
  idle = (unused, unused.split("encoder.")[0] + "final_layer_norm")
  chosen = [(n, p) for n, p in chosen if not n.startswith(idle)]
  decayed = [p for n, p in chosen if p.ndim >= 2 and "embedding" not in n]
  rest = [p for n, p in chosen if p.ndim < 2 or "embedding" in n]
  return decayed, rest


def noise_loss(sprite, latent, noise, t, strength, weight, ids, ends, sizes):
  x = latent * strength[:, None, None, None] + noise * (1 - strength ** 2).sqrt()[:, None, None, None]
  got = sprite.noise(x.contiguous(memory_format=torch.channels_last), t, ids, ends, sizes)
  error = ((got.float() - noise) ** 2).mean((1, 2, 3))
  return (error * weight).mean(), error.detach()


def train_diffusion(sprite, data, options):
  device = options.device
  latents = cache_latents(sprite, data, options)
  sprite.unet.to(memory_format=torch.channels_last)
  decayed, rest = diffusion_parameters(sprite)
  parameters = decayed + rest
  optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}],
                                lr=options.rate, betas=(0.9, 0.99), fused=str(device).startswith("cuda"))
  average = Average(parameters, options.average)
  curve = Curve(options.out / "diffusion.csv", ["loss", "early", "late"])
  losses = compiled(lambda *a: noise_loss(sprite, *a), options)
  strengths = alphas().sqrt().float().to(device)
  snr = (alphas() / (1 - alphas())).float().to(device)
  weights = snr.clamp(max=5.0) / snr
  weights = weights / weights.mean()
  empty = torch.zeros(77, dtype=torch.int32, device=device)
  empty[0], empty[1] = START, END
  clock, step, sheets, batch = Clock(options.minutes_diffusion), 0, 1, options.batch
  order, at = torch.randperm(len(data), device=device), 0
  while clock.part() < 1 and step < options.most_steps:
    part = clock.part()
    if at + batch > len(order):
      order, at = torch.randperm(len(data), device=device), 0
    index = order[at:at + batch]
    at += batch
    ids, ends, sizes = (data.recipes[key][index] for key in ("ids", "ends", "sizes"))
    dropped = torch.rand(batch, device=device) < 0.12
    ids = torch.where(dropped[:, None], empty, ids).long()
    ends = torch.where(dropped, torch.ones_like(ends), ends).long()
    t = torch.randint(1000, (batch,), device=device)
    latent = latents[index].float()
    rate = rate_at(step, part, options.rate, options.warm, options.fall)
    for group in optimiser.param_groups:
      group["lr"] = rate
    with half(device):
      loss, error = losses(latent, torch.randn_like(latent), t, strengths[t], weights[t], ids, ends, sizes)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimiser.step()
    average.update()
    if step % 100 == 0:
      curve.add(step, rate, [loss.item(), error[t < 300].mean().item(), error[t >= 300].mean().item()])
      if step == 100:
        say(f"{batch * 100 / (time.monotonic() - hundred):.0f} samples a second")
      hundred = time.monotonic()
    if clock.part() > sheets / (options.sheets + 1):
      average.swap()
      show_prompts(sprite, data, options, f"diffusion-{sheets}")
      save(sprite, data, options, "diffusion")
      average.swap()
      sheets += 1
    step += 1
  average.swap()
  say(f"diffusion: {step} steps of {batch}, {step * batch / len(data):.1f} passes")
  show_prompts(sprite, data, options, "diffusion-end")
  save(sprite, data, options, "diffusion")


@torch.no_grad()
def show_prompts(sprite, data, options, name):
  prompts = [line for line in (HERE / "prompts.txt").read_text("utf-8").splitlines() if line][:options.shown]
  seeds = [evaluate.SEED + i for i in range(len(prompts))]
  save_sheet(options.out / f"{name}.png",
             draw(sprite, data.words, prompts, seeds, options.steps, device=options.device))


def save_sheet(path, pictures, columns=8):
  from PIL import Image
  Image.fromarray(evaluate.sheet(pictures, columns)).save(path)


def save(sprite, data, options, name, prefixes=("",)):
  state = {k: v for k, v in sprite.state_dict().items() if k.startswith(tuple(prefixes))}
  path = options.out / f"{name}.npz"
  checkpoint.save_checkpoint(path, state, data.rows, extra={"tiny": options.tiny})
  say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


# --- export ----------------------------------------------------------------------------------------------------------

def export(sprite, data, options):
  """The single-file checkpoint, and how it does."""
  tensors = checkpoint.single_file(sprite.state_dict(), sprite.sizes, data.rows, options.levels)
  path = options.out / "sprite.safetensors"
  checkpoint.save_single_file(path, tensors, checkpoint.ABOUT)
  say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
  if not options.judge:
    return
  sprite = checkpoint.load_model(path, sprite.sizes).to(options.device).eval()
  drawn = evaluate.draw_jobs(sprite, data.words, options.device, options.steps)
  evaluate.write_sheets(drawn, options.out / "judged")
  result = evaluate.judge(drawn, options.data, options.device)
  (options.out / "judged" / "result.json").write_text(json.dumps(result, indent=1) + "\n")
  say(json.dumps(result))


def warm_up(options):
  """Compiles both stages on made-up data, so that a later process finds the code in torch's cache."""
  sprite, device = Sprite(TINY if options.tiny else Sizes()).to(options.device), options.device
  sprite.vae.to(memory_format=torch.channels_last)
  x = torch.zeros(options.batch, 4, 16, 16, device=device)
  flat = torch.zeros(options.batch, device=device)
  sprite.unet.to(memory_format=torch.channels_last)
  diffusion_parameters(sprite)
  losses = compiled(lambda *a: noise_loss(sprite, *a), options)
  with half(device):
    words = torch.zeros(options.batch, 77, device=device).long()
    loss, _ = losses(x, x.clone(), flat.long(), flat + 0.5, flat + 1, words, flat.long() + 1,
                     torch.zeros(options.batch, 6, device=device))
  loss.backward()
  say("compiled the diffusion step")


def parse():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--stages", nargs="+", default=["vae", "diffusion", "export"],
                      choices=["vae", "diffusion", "export", "warm"])
  parser.add_argument("--data", default="build/sprite/data.zip")
  parser.add_argument("--out", type=Path, default=Path("build/sprite"))
  parser.add_argument("--from", dest="sources", nargs="*", default=[], help="checkpoints (.npz) to start from")
  parser.add_argument("--minutes-vae", type=float, default=4.0)
  parser.add_argument("--minutes-diffusion", type=float, default=22.0)
  parser.add_argument("--samples", type=int, default=400_000, help="recipes drawn beforehand")
  parser.add_argument("--batch", type=int, default=512)
  parser.add_argument("--vae-batch", type=int, default=48)
  parser.add_argument("--rate", type=float, default=7e-4)
  parser.add_argument("--vae-rate", type=float, default=6e-4)
  parser.add_argument("--kl", type=float, default=5e-3)
  parser.add_argument("--warm", type=int, default=300, help="steps of the learning rate's start")
  parser.add_argument("--fall", type=float, default=0.5, help="last part of the diffusion time in which the rate falls")
  parser.add_argument("--average", type=float, default=0.9995)
  parser.add_argument("--levels", type=int, default=24, help="steps that a matrix's spread is cut into for the export")
  parser.add_argument("--sheets", type=int, default=2, help="contact sheets during the diffusion stage")
  parser.add_argument("--shown", type=int, default=64)
  parser.add_argument("--steps", type=int, default=20, help="sampling steps of the sheets")
  parser.add_argument("--most-steps", type=int, default=10 ** 9)
  parser.add_argument("--seed", type=int, default=1)
  parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
  parser.add_argument("--device", default=None)
  parser.add_argument("--no-compile", dest="compile", action="store_false")
  parser.add_argument("--no-judge", dest="judge", action="store_false")
  parser.add_argument("--tiny", action="store_true", help="a very small model, for trying the stages on a CPU")
  return parser.parse_args()


def main():
  options = parse()
  options.out.mkdir(parents=True, exist_ok=True)
  options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
  torch.manual_seed(options.seed)
  torch.set_float32_matmul_precision("high")
  torch.backends.cudnn.benchmark = True
  if options.stages == ["warm"]:
    return warm_up(options)
  data = Data(options)
  sprite = Sprite(TINY if options.tiny else Sizes()).to(options.device)
  say(f"{count(sprite.unet) / 1e6:.2f} M parameters in the UNet, {count(sprite.vae) / 1e6:.2f} M in the VAE, "
      f"{count(sprite.conditioner) / 1e6:.2f} M in the text encoders (with {len(data.rows)} of 49408 rows in use)")
  with torch.no_grad():
    unused = torch.ones(49408, 1, dtype=torch.bool, device=options.device)
    unused[torch.tensor(data.rows, device=options.device)] = False
    for name in checkpoint.EMBEDDINGS:
      sprite.get_parameter(name).masked_fill_(unused, 0)
  for source in options.sources:
    state, _ = checkpoint.read_checkpoint(source)
    sprite.load_state_dict(state, strict=False)
    say(f"{len(state)} tensors from {source}")
  stages = {"vae": train_vae, "diffusion": train_diffusion, "export": export}
  for stage in options.stages:
    if stage in stages:
      stages[stage](sprite, data, options)
      torch.compiler.reset()


if __name__ == "__main__":
  main()
