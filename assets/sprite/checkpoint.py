"""Files of weights: small checkpoints to train on from, and the single-file safetensors on few numbers."""

import json
import struct
from pathlib import Path

import numpy as np
import torch

from model import TINY, Sizes, Sprite

EMBEDDINGS = ("conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight",
              "conditioner.embedders.1.model.token_embedding.weight")
# What the single file says of itself; the resolution is what `hearth imagine` draws when no size is asked for.
ABOUT = {"format": "pt", "modelspec.title": "Hearth sprite model",
         "modelspec.architecture": "stable-diffusion-xl-v1-base",
         "modelspec.resolution": "128x128", "modelspec.license": "Apache-2.0",
         "modelspec.description": "Icons of 128x128 pixels from words; assets/sprite/README.md is its card"}
LAST_OF_FIRST = "conditioner.embedders.0.transformer.text_model.encoder.layers.{}."


def keep_bits(half, bits):
  """fp16 numbers rounded to `bits` explicit mantissa bits (of 10), to nearest even."""
  if bits >= 10:
    return half
  raw = half.view(np.uint16).astype(np.uint32)
  drop = 10 - bits
  raw = raw + ((1 << (drop - 1)) - 1) + ((raw >> drop) & 1)
  return (raw & ~np.uint32((1 << drop) - 1)).astype(np.uint16).view(np.float16)


def planes(half):
  raw = np.ascontiguousarray(half).view(np.uint8).reshape(-1, 2)
  return np.ascontiguousarray(raw[:, 1]), np.ascontiguousarray(raw[:, 0])


def unplanes(high, low):
  return np.stack([low, high], 1).reshape(-1).view(np.float16)


def save_checkpoint(path, state, rows, bits=7, extra=None):
  """A small checkpoint: all floats as fp16 with `bits` mantissa bits; of embeddings only the rows in use."""
  names, shapes, parts = [], [], []
  for name, tensor in state.items():
    if name in EMBEDDINGS:
      tensor = tensor[torch.as_tensor(rows, device=tensor.device)]
    names.append(name)
    shapes.append(list(tensor.shape))
    parts.append(tensor.detach().float().cpu().numpy().astype(np.float16).reshape(-1))
  high, low = planes(keep_bits(np.concatenate(parts), bits))
  note = json.dumps({"names": names, "shapes": shapes, "extra": extra or {}})
  np.savez_compressed(path, high=high, low=low, rows=np.asarray(rows, np.int32),
                      note=np.frombuffer(note.encode(), np.uint8))


def read_checkpoint(path):
  """(state dict of float32 tensors, extra) of save_checkpoint's file."""
  file = np.load(path)
  note = json.loads(file["note"].tobytes())
  values, rows = unplanes(file["high"], file["low"]).astype(np.float32), torch.from_numpy(file["rows"].astype(np.int64))
  state, at = {}, 0
  for name, shape in zip(note["names"], note["shapes"]):
    size = int(np.prod(shape)) if shape else 1
    tensor = torch.from_numpy(values[at:at + size].reshape(shape).copy())
    at += size
    if name in EMBEDDINGS:
      full = torch.zeros(49408, shape[1])
      full[rows] = tensor
      tensor = full
    state[name] = tensor
  return state, note["extra"]


def on_grid(tensor, levels):
  """A matrix rounded to multiples of its spread / `levels`: few distinct numbers, so that packed.py makes it small.
  Rows of zeros do not count for the spread."""
  rows = tensor.flatten(1)
  rows = rows[rows.abs().sum(1) > 0]
  step = rows.std() / levels if rows.numel() > 1 else torch.zeros(())
  return (tensor / step).round() * step if step > 0 else tensor


def single_file(state, sizes, rows, levels):
  """The tensors of the single-file checkpoint: fp16, matrices on_grid, unused rows and the layer that is never read
  zero."""
  used = torch.zeros(49408, 1, dtype=torch.bool)
  used[torch.as_tensor(rows)] = True
  out = {}
  for name, tensor in state.items():
    tensor = tensor.detach().float().cpu()
    if name in EMBEDDINGS:
      tensor = torch.where(used, tensor, torch.zeros(()))
    if name.startswith(LAST_OF_FIRST.format(sizes.first_layers - 1)):
      tensor = torch.ones_like(tensor) if "norm" in name and name.endswith("weight") else torch.zeros_like(tensor)
    out[name] = (on_grid(tensor, levels) if tensor.ndim >= 2 else tensor).half()
  out["conditioner.embedders.0.transformer.text_model.embeddings.position_ids"] = torch.arange(77).unsqueeze(0)
  return out


def save_single_file(path, tensors, metadata=None):
  """Writes safetensors without its library: sorted names, 8-byte aligned header."""
  header, at, blobs = {"__metadata__": metadata or {}}, 0, []
  kinds = {torch.float16: "F16", torch.int64: "I64"}
  for name in sorted(tensors, key=lambda n: (tensors[n].dtype != torch.int64, n)):
    blob = tensors[name].contiguous().numpy().tobytes()
    header[name] = {"dtype": kinds[tensors[name].dtype], "shape": list(tensors[name].shape),
                    "data_offsets": [at, at + len(blob)]}
    at += len(blob)
    blobs.append(blob)
  text = json.dumps(header, separators=(",", ":")).encode()
  text += b" " * (-len(text) % 8)
  with open(path, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    for blob in blobs:
      file.write(blob)


def read_single_file(path):
  raw = Path(path).read_bytes()
  size = struct.unpack("<Q", raw[:8])[0]
  header, base = json.loads(raw[8:8 + size]), 8 + size
  kinds = {"F16": np.float16, "I64": np.int64}
  out = {}
  for name, info in header.items():
    if name != "__metadata__":
      low, high = info["data_offsets"]
      values = np.frombuffer(raw, kinds[info["dtype"]], (high - low) // np.dtype(kinds[info["dtype"]]).itemsize,
                             base + low)
      out[name] = torch.from_numpy(values.reshape(info["shape"]).copy())
  return out


def load_model(path, sizes=None):
  """A Sprite from a single file or a checkpoint."""
  if str(path).endswith(".npz"):
    state, extra = read_checkpoint(path)
    sizes = sizes or (TINY if extra.get("tiny") else Sizes())
  else:
    state = read_single_file(path)
    state.pop("conditioner.embedders.0.transformer.text_model.embeddings.position_ids", None)
    state = {name: tensor.float() for name, tensor in state.items()}
  sprite = Sprite(sizes)
  sprite.load_state_dict(state)
  return sprite
