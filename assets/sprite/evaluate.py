#!/usr/bin/env python3
"""Judges the sprite model: nearness to held-in references, colours of unseen combinations, variety over seeds.

    python assets/sprite/evaluate.py --model build/sprite/sprite.safetensors           pictures from torch
    python assets/sprite/evaluate.py --list > jobs.jsonl                               what another program should draw
    hearth imagine --from jobs.jsonl --out FOLDER
    python assets/sprite/evaluate.py --pictures FOLDER                                 pictures named in its manifest

All three use build/sprite/data.zip for the references. Prints a JSON object and writes a contact sheet.
"""

import argparse
import json
import sys
import zipfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import colours  # noqa: E402
import features  # noqa: E402

SEED, VARIED, SEEDS = 1000, 40, 5
BARS = {"held_in_near": 0.70, "unseen_colour": 0.60, "seed_variety": 0.30}


def jobs():
  """Every picture the evaluation needs: {name, prompt, seed}, fixed."""
  held_in = json.loads((HERE / "heldin.json").read_text("utf-8"))
  unseen = json.loads((HERE / "heldout.json").read_text("utf-8"))
  sheet = [line for line in (HERE / "prompts.txt").read_text("utf-8").splitlines() if line.strip()]
  out = [{"name": f"heldin_{i:03d}", "prompt": item["caption"], "seed": SEED + i} for i, item in enumerate(held_in)]
  out += [{"name": f"unseen_{i:03d}", "prompt": item["caption"], "seed": SEED + i} for i, item in enumerate(unseen)]
  step = len(held_in) // VARIED
  out += [{"name": f"seeds_{i:03d}_{s}", "prompt": held_in[i * step]["caption"], "seed": 7 * SEED + s}
          for i in range(VARIED) for s in range(SEEDS)]
  return out + [{"name": f"sheet_{i:03d}", "prompt": line, "seed": SEED + i} for i, line in enumerate(sheet)]


def read_pack(path):
  with zipfile.ZipFile(path) as pack:
    return json.loads(pack.read("meta.json"))


def references(path, meta, device="cpu"):
  """One picture per concept on white: (concept keys, features)."""
  import torch
  import render
  first = {}
  for i, entry in enumerate(meta["entries"]):
    first.setdefault(entry["concept"], i)
  pictures = render.load_pictures(path).to(device)
  looks = render.looks_of(meta["entries"], device)
  drawn = []
  indices = list(first.values())
  for k in range(0, len(indices), 128):
    image = render.render(pictures, looks, render.plain_recipe(indices[k:k + 128], scale=0.9, device=device))
    drawn.append(((image + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
  return list(first), np.concatenate(drawn)


def judge(drawn, pack, device="cpu"):
  """The measures, from pictures by job name."""
  meta = read_pack(pack)
  keys, pictures = references(pack, meta, device)
  place = {key: i for i, key in enumerate(keys)}
  known = features.features(pictures)
  held_in = json.loads((HERE / "heldin.json").read_text("utf-8"))
  unseen = json.loads((HERE / "heldout.json").read_text("utf-8"))

  mine = features.features(np.stack([drawn[f"heldin_{i:03d}"] for i in range(len(held_in))]))
  away = features.distances(mine, known)
  own = np.array([place[item["concept"]] for item in held_in])
  to_own = away[np.arange(len(own)), own]
  closer = (away > to_own[:, None]).sum(1) / (len(keys) - 1)  # share of the others that are farther than the own one
  near = closer >= 0.95

  won = [colours.winner(drawn[f"unseen_{i:03d}"]) == item["colour"] for i, item in enumerate(unseen)]

  step = len(held_in) // VARIED
  within = []
  for i in range(VARIED):
    f = features.features(np.stack([drawn[f"seeds_{i:03d}_{s}"] for s in range(SEEDS)]))
    within.append(features.distances(f, f)[np.triu_indices(SEEDS, 1)].mean())
  others = mine[:: step][:VARIED]
  between = features.distances(others, others)[np.triu_indices(len(others), 1)].mean()
  groups = {}
  for item, good in zip(held_in, near):
    groups.setdefault(item["group"], []).append(bool(good))
  result = {"held_in_near": float(near.mean()), "held_in_first": float((closer == 1).mean()),
            "held_in_distance": float(to_own.mean()),
            "held_in_by_group": {g: round(float(np.mean(v)), 3) for g, v in groups.items()},
            "unseen_colour": float(np.mean(won)),
            "unseen_missed": [u["caption"] for u, good in zip(unseen, won) if not good],
            "seed_variety": float(np.mean(within) / between), "between_concepts": float(between)}
  result["passed"] = {name: bool(result[name] >= bar) for name, bar in BARS.items()}
  return result


def read_batch(folder):
  """Pictures by job name of a folder whose manifest.jsonl has prompt, seed and file of each."""
  from PIL import Image
  entries = [json.loads(line) for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines()]
  files = {(entry["prompt"], entry["seed"]): entry["file"] for entry in entries}
  missing = [job for job in jobs() if (job["prompt"], job["seed"]) not in files]
  if missing:
    first = missing[0]
    sys.exit(f"{len(missing)} pictures are missing in {folder}, first '{first['prompt']}' with seed {first['seed']}")
  found = {job["name"]: folder / files[job["prompt"], job["seed"]] for job in jobs()}
  return {name: np.asarray(Image.open(path).convert("RGB")) for name, path in found.items()}


def sheet(pictures, columns=8, gap=4):
  """Pictures side by side as one array."""
  rows = (len(pictures) + columns - 1) // columns
  side = pictures[0].shape[0]
  page = np.full((rows * (side + gap) + gap, columns * (side + gap) + gap, 3), 232, np.uint8)
  for n, picture in enumerate(pictures):
    top, left = gap + n // columns * (side + gap), gap + n % columns * (side + gap)
    page[top:top + side, left:left + side] = picture
  return page


def draw_jobs(sprite, words, device, steps=20, cfg=4.0):
  from sampling import draw
  todo = jobs()
  pictures = draw(sprite, words, [j["prompt"] for j in todo], [j["seed"] for j in todo], steps, cfg, device=device)
  return {job["name"]: picture for job, picture in zip(todo, pictures)}


def write_sheets(drawn, folder):
  """The contact sheets of the prompts, of held-in and of unseen captions."""
  from PIL import Image
  folder.mkdir(parents=True, exist_ok=True)
  for kind in ("sheet", "heldin", "unseen"):
    chosen = [drawn[name] for name in sorted(drawn) if name.startswith(kind)]
    Image.fromarray(sheet(chosen,
                          8 if kind == "sheet" else 16 if kind == "heldin" else 10)).save(folder / f"{kind}.png")


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--data", default="build/sprite/data.zip")
  parser.add_argument("--model")
  parser.add_argument("--pictures", type=Path)
  parser.add_argument("--list", action="store_true")
  parser.add_argument("--out", type=Path, default=Path("build/sprite/judged"))
  parser.add_argument("--device", default=None)
  parser.add_argument("--cfg", type=float, default=4.0)
  parser.add_argument("--steps", type=int, default=20)
  options = parser.parse_args()
  if options.list:
    for job in jobs():
      print(json.dumps({"prompt": job["prompt"], "seed": job["seed"]}))
    return
  if options.pictures:
    drawn = read_batch(options.pictures)
  elif options.model:
    import torch
    import checkpoint
    from clip_words import Words
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    sprite = checkpoint.load_model(options.model).to(device).eval()
    drawn = draw_jobs(sprite, Words(table=read_pack(options.data)["words"]), device, options.steps, options.cfg)
  else:
    parser.error("say --model FILE, --pictures FOLDER or --list")
  result = judge(drawn, options.data)
  write_sheets(drawn, options.out)
  (options.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
  print(json.dumps(result, indent=1))


if __name__ == "__main__":
  main()
