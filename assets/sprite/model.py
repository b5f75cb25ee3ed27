"""The sprite model: SDXL's layout (two text encoders, UNet, f8 VAE) at small widths, with a single-file checkpoint's
keys.

Module attributes are named so that `Sprite().state_dict()` has the keys of a single-file SDXL checkpoint. The sizes
live in `Sizes`; every number a loader needs can be read off the tensors' shapes (head dimension 64 everywhere).
"""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS, CONTEXT, HEAD, LATENT_SCALE = 49408, 77, 64, 0.13025


@dataclass
class Sizes:
  """Widths and depths of the parts."""
  first_width: int = 64      # encoder 0: CLIP's layout, its layer -2 is used
  first_layers: int = 3
  second_width: int = 128    # encoder 1: OpenCLIP's layout
  second_layers: int = 5
  pooled: int = 128
  base: int = 128            # UNet: width of level 0, times `mult` in each level
  mult: tuple = (1, 1, 1)
  blocks: int = 2
  depth: tuple = (1, 1, 0)
  middle: int = 3
  vae: int = 64
  vae_mult: tuple = (1, 1, 1, 2)
  vae_blocks: int = 2

  @property
  def context(self):
    return self.first_width + self.second_width


TINY = Sizes(first_layers=2, second_width=64, second_layers=2, pooled=32, base=64, vae=32,
             vae_mult=(1, 1, 1, 1), vae_blocks=1)


def heads_of(x):
  """[B,N,C] to [B,C/64,N,64]."""
  b, n, c = x.shape
  return x.view(b, n, c // HEAD, HEAD).transpose(1, 2)


def attend(q, k, v, causal=False):
  out = F.scaled_dot_product_attention(heads_of(q), heads_of(k), heads_of(v), is_causal=causal)
  return out.transpose(1, 2).reshape(q.shape)


# --- text encoders ---------------------------------------------------------------------------------------------------

class ClipAttention(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)
    self.v_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)

  def forward(self, x):
    return self.out_proj(attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), causal=True))


class ClipMlp(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

  def forward(self, x):
    h = self.fc1(x)
    return self.fc2(h * torch.sigmoid(1.702 * h))


class ClipLayer(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.self_attn, self.mlp = ClipAttention(width), ClipMlp(width)
    self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

  def forward(self, x):
    x = x + self.self_attn(self.layer_norm1(x))
    return x + self.mlp(self.layer_norm2(x))


class ClipEmbeddings(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.token_embedding = nn.Embedding(ROWS, width)
    self.position_embedding = nn.Embedding(CONTEXT, width)


class ClipLayers(nn.Module):
  def __init__(self, width, layers):
    super().__init__()
    self.layers = nn.ModuleList(ClipLayer(width) for _ in range(layers))


class ClipText(nn.Module):
  """Encoder 0, keys of Hugging Face's CLIPTextModel; quick_gelu; gives the hidden state before the last layer."""

  def __init__(self, width, layers):
    super().__init__()
    self.embeddings, self.encoder = ClipEmbeddings(width), ClipLayers(width, layers)
    self.final_layer_norm = nn.LayerNorm(width)

  def forward(self, ids):
    x = self.embeddings.token_embedding(ids) + self.embeddings.position_embedding.weight
    for layer in self.encoder.layers[:-1]:
      x = layer(x)
    return x


class FusedAttention(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * width ** -0.5)
    self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
    self.out_proj = nn.Linear(width, width)

  def forward(self, x):
    q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
    return self.out_proj(attend(q, k, v, causal=True))


class OpenMlp(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

  def forward(self, x):
    return self.c_proj(F.gelu(self.c_fc(x)))


class OpenLayer(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.ln_1, self.attn = nn.LayerNorm(width), FusedAttention(width)
    self.ln_2, self.mlp = nn.LayerNorm(width), OpenMlp(width)

  def forward(self, x):
    x = x + self.attn(self.ln_1(x))
    return x + self.mlp(self.ln_2(x))


class OpenTransformer(nn.Module):
  def __init__(self, width, layers):
    super().__init__()
    self.resblocks = nn.ModuleList(OpenLayer(width) for _ in range(layers))


class OpenText(nn.Module):
  """Encoder 1, OpenCLIP's keys; gives the hidden state before the last layer and the projected vector at END."""

  def __init__(self, width, layers, pooled):
    super().__init__()
    self.token_embedding = nn.Embedding(ROWS, width)
    self.positional_embedding = nn.Parameter(torch.randn(CONTEXT, width) * 0.01)
    self.transformer = OpenTransformer(width, layers)
    self.ln_final = nn.LayerNorm(width)
    self.text_projection = nn.Parameter(torch.randn(width, pooled) * width ** -0.5)
    self.logit_scale = nn.Parameter(torch.tensor(4.6052), requires_grad=False)

  def forward(self, ids, ends):
    x = self.token_embedding(ids) + self.positional_embedding
    for layer in self.transformer.resblocks[:-1]:
      x = layer(x)
    last = self.transformer.resblocks[-1](x)
    at_end = last[torch.arange(len(ids), device=ids.device), ends]
    return x, self.ln_final(at_end) @ self.text_projection


# --- UNet ------------------------------------------------------------------------------------------------------------

def sinusoids(values, width):
  """Timestep embedding: cosines first, periods up to 10000."""
  half = width // 2
  rates = torch.exp(-9.210340371976184 * torch.arange(half, device=values.device, dtype=torch.float32) / half)
  angles = values.float()[..., None] * rates
  return torch.cat([angles.cos(), angles.sin()], -1)


class Res(nn.Module):
  def __init__(self, inner, outer, emb):
    super().__init__()
    self.in_layers = nn.Sequential(nn.GroupNorm(32, inner), nn.SiLU(), nn.Conv2d(inner, outer, 3, padding=1))
    self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb, outer))
    self.out_layers = nn.Sequential(nn.GroupNorm(32, outer), nn.SiLU(), nn.Dropout(0.0),
                                    nn.Conv2d(outer, outer, 3, padding=1))
    self.skip_connection = nn.Identity() if inner == outer else nn.Conv2d(inner, outer, 1)

  def forward(self, x, emb, context):
    h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
    return self.skip_connection(x) + self.out_layers(h)


class CrossAttention(nn.Module):
  def __init__(self, width, context):
    super().__init__()
    self.to_q = nn.Linear(width, width, bias=False)
    self.to_k, self.to_v = nn.Linear(context, width, bias=False), nn.Linear(context, width, bias=False)
    self.to_out = nn.Sequential(nn.Linear(width, width), nn.Dropout(0.0))

  def forward(self, x, context):
    return self.to_out(attend(self.to_q(x), self.to_k(context), self.to_v(context)))


class Geglu(nn.Module):
  def __init__(self, width, inner):
    super().__init__()
    self.proj = nn.Linear(width, 2 * inner)

  def forward(self, x):
    value, gate = self.proj(x).chunk(2, -1)
    return value * F.gelu(gate)


class FeedForward(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.net = nn.Sequential(Geglu(width, 4 * width), nn.Dropout(0.0), nn.Linear(4 * width, width))

  def forward(self, x):
    return self.net(x)


class TransformerBlock(nn.Module):
  def __init__(self, width, context):
    super().__init__()
    self.attn1, self.ff, self.attn2 = CrossAttention(width, width), FeedForward(width), CrossAttention(width, context)
    self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)

  def forward(self, x, context):
    h = self.norm1(x)
    x = x + self.attn1(h, h)
    x = x + self.attn2(self.norm2(x), context)
    return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
  def __init__(self, width, context, depth):
    super().__init__()
    self.norm = nn.GroupNorm(32, width, eps=1e-6)
    self.proj_in, self.proj_out = nn.Linear(width, width), nn.Linear(width, width)
    self.transformer_blocks = nn.ModuleList(TransformerBlock(width, context) for _ in range(depth))

  def forward(self, x, emb, context):
    b, c, h, w = x.shape
    y = self.proj_in(self.norm(x).permute(0, 2, 3, 1).reshape(b, h * w, c))
    for block in self.transformer_blocks:
      y = block(y, context)
    return x + self.proj_out(y).reshape(b, h, w, c).permute(0, 3, 1, 2)


class Down(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

  def forward(self, x, emb, context):
    return self.op(x)


class Up(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.conv = nn.Conv2d(width, width, 3, padding=1)

  def forward(self, x, emb, context):
    return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class First(nn.Conv2d):
  def forward(self, x, emb, context):
    return super().forward(x)


class Unet(nn.Module):
  """LDM's UNet with size conditioning; predicts the noise."""

  def __init__(self, s):
    super().__init__()
    emb, adm = 4 * s.base, s.pooled + 6 * 256
    self.base = s.base
    self.time_embed = nn.Sequential(nn.Linear(s.base, emb), nn.SiLU(), nn.Linear(emb, emb))
    self.label_emb = nn.Sequential(nn.Sequential(nn.Linear(adm, emb), nn.SiLU(), nn.Linear(emb, emb)))
    self.input_blocks = nn.ModuleList([nn.ModuleList([First(4, s.base, 3, padding=1)])])
    width, kept = s.base, [s.base]

    def transformer(level_width, depth):
      return [SpatialTransformer(level_width, s.context, depth)] if depth else []

    for level, mult in enumerate(s.mult):
      for _ in range(s.blocks):
        self.input_blocks.append(nn.ModuleList([Res(width, mult * s.base, emb),
                                                *transformer(mult * s.base, s.depth[level])]))
        width = mult * s.base
        kept.append(width)
      if level + 1 < len(s.mult):
        self.input_blocks.append(nn.ModuleList([Down(width)]))
        kept.append(width)
    self.middle_block = nn.ModuleList([Res(width, width, emb), *transformer(width, s.middle), Res(width, width, emb)])
    self.output_blocks = nn.ModuleList()
    for level, mult in reversed(list(enumerate(s.mult))):
      for i in range(s.blocks + 1):
        parts = [Res(width + kept.pop(), mult * s.base, emb), *transformer(mult * s.base, s.depth[level])]
        width = mult * s.base
        if level and i == s.blocks:
          parts.append(Up(width))
        self.output_blocks.append(nn.ModuleList(parts))
    self.out = nn.Sequential(nn.GroupNorm(32, width), nn.SiLU(), nn.Conv2d(width, 4, 3, padding=1))
    self.start_from_nothing()

  def start_from_nothing(self):
    """Blocks begin as identities: their last layers are zero."""
    for module in self.modules():
      if isinstance(module, Res):
        nn.init.zeros_(module.out_layers[3].weight)
      elif isinstance(module, SpatialTransformer):
        nn.init.zeros_(module.proj_out.weight)
    nn.init.zeros_(self.out[2].weight)

  def forward(self, x, t, context, y):
    emb = self.time_embed(sinusoids(t, self.base).to(x.dtype)) + self.label_emb(y)
    kept = []
    for block in self.input_blocks:
      for part in block:
        x = part(x, emb, context)
      kept.append(x)
    for part in self.middle_block:
      x = part(x, emb, context)
    for block in self.output_blocks:
      x = torch.cat([x, kept.pop()], 1)
      for part in block:
        x = part(x, emb, context)
    return self.out(x)


# --- VAE -------------------------------------------------------------------------------------------------------------

class VaeRes(nn.Module):
  def __init__(self, inner, outer):
    super().__init__()
    self.norm1, self.conv1 = nn.GroupNorm(32, inner, eps=1e-6), nn.Conv2d(inner, outer, 3, padding=1)
    self.norm2, self.conv2 = nn.GroupNorm(32, outer, eps=1e-6), nn.Conv2d(outer, outer, 3, padding=1)
    if inner != outer:
      self.nin_shortcut = nn.Conv2d(inner, outer, 1)

  def forward(self, x):
    h = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
    return (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h


class VaeAttention(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.norm = nn.GroupNorm(32, width, eps=1e-6)
    self.q, self.k, self.v = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
    self.proj_out = nn.Conv2d(width, width, 1)

  def forward(self, x):
    h = self.norm(x)
    q, k, v = (f(h).flatten(2).transpose(1, 2)[:, None].contiguous() for f in (self.q, self.k, self.v))
    out = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).reshape(x.shape)
    return x + self.proj_out(out)


class VaeMiddle(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.block_1, self.attn_1, self.block_2 = VaeRes(width, width), VaeAttention(width), VaeRes(width, width)

  def forward(self, x):
    return self.block_2(self.attn_1(self.block_1(x)))


class VaeDown(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.conv = nn.Conv2d(width, width, 3, stride=2)

  def forward(self, x):
    return self.conv(F.pad(x, (0, 1, 0, 1)))


class VaeUp(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.conv = nn.Conv2d(width, width, 3, padding=1)

  def forward(self, x):
    return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class VaeLevel(nn.Module):
  def __init__(self, inner, outer, blocks):
    super().__init__()
    self.block = nn.ModuleList(VaeRes(inner if i == 0 else outer, outer) for i in range(blocks))

  def forward(self, x):
    for block in self.block:
      x = block(x)
    for name in ("downsample", "upsample"):
      if hasattr(self, name):
        x = getattr(self, name)(x)
    return x


class Encoder(nn.Module):
  def __init__(self, s):
    super().__init__()
    widths = [s.vae * m for m in s.vae_mult]
    self.conv_in = nn.Conv2d(3, s.vae, 3, padding=1)
    self.down = nn.ModuleList()
    for i, width in enumerate(widths):
      self.down.append(VaeLevel(widths[i - 1] if i else s.vae, width, s.vae_blocks))
      if i + 1 < len(widths):
        self.down[i].downsample = VaeDown(width)
    self.mid = VaeMiddle(widths[-1])
    self.norm_out, self.conv_out = nn.GroupNorm(32, widths[-1], eps=1e-6), nn.Conv2d(widths[-1], 8, 3, padding=1)

  def forward(self, x):
    x = self.conv_in(x)
    for level in self.down:
      x = level(x)
    return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
  def __init__(self, s):
    super().__init__()
    widths = [s.vae * m for m in s.vae_mult]
    self.conv_in = nn.Conv2d(4, widths[-1], 3, padding=1)
    self.mid = VaeMiddle(widths[-1])
    self.up = nn.ModuleList()
    for i, width in enumerate(widths):
      self.up.append(VaeLevel(widths[min(i + 1, len(widths) - 1)], width, s.vae_blocks + 1))
      if i:
        self.up[i].upsample = VaeUp(width)
    self.norm_out, self.conv_out = nn.GroupNorm(32, widths[0], eps=1e-6), nn.Conv2d(widths[0], 3, 3, padding=1)

  def forward(self, z):
    x = self.mid(self.conv_in(z))
    for level in reversed(self.up):
      x = level(x)
    return self.conv_out(F.silu(self.norm_out(x)))


class Vae(nn.Module):
  """KL-VAE, factor 8, 4 latent channels."""

  def __init__(self, s):
    super().__init__()
    self.encoder, self.decoder = Encoder(s), Decoder(s)
    self.quant_conv, self.post_quant_conv = nn.Conv2d(8, 8, 1), nn.Conv2d(4, 4, 1)

  def moments(self, x):
    mean, log_variance = self.quant_conv(self.encoder(x)).chunk(2, 1)
    return mean, log_variance.clamp(-30, 20)

  def encode(self, x):
    return self.moments(x)[0]

  def decode(self, z):
    return self.decoder(self.post_quant_conv(z))


# --- the whole -------------------------------------------------------------------------------------------------------

class Named(nn.Module):
  """A module that only gives its parts names."""

  def __init__(self, **parts):
    super().__init__()
    for name, part in parts.items():
      setattr(self, name, part)


class Sprite(nn.Module):
  """All parts under a single-file checkpoint's names."""

  def __init__(self, sizes=None):
    super().__init__()
    s = self.sizes = sizes or Sizes()
    first = Named(transformer=Named(text_model=ClipText(s.first_width, s.first_layers)))
    second = Named(model=OpenText(s.second_width, s.second_layers, s.pooled))
    self.conditioner = Named(embedders=nn.ModuleList([first, second]))
    self.model = Named(diffusion_model=Unet(s))
    self.first_stage_model = Vae(s)
    for embedding in (self.first.embeddings.token_embedding, self.second.token_embedding):
      nn.init.normal_(embedding.weight, std=0.05)
    nn.init.normal_(self.first.embeddings.position_embedding.weight, std=0.02)

  @property
  def first(self):
    return self.conditioner.embedders[0].transformer.text_model

  @property
  def second(self):
    return self.conditioner.embedders[1].model

  @property
  def unet(self):
    return self.model.diffusion_model

  @property
  def vae(self):
    return self.first_stage_model

  def words(self, ids, ends):
    """Token ids padded with 0 after END at `ends` to (context [B,77,context], pooled [B,pooled])."""
    after = torch.arange(CONTEXT, device=ids.device)[None] > ends[:, None]
    hidden = self.first(torch.where(after, torch.full_like(ids, ROWS - 1), ids))
    hidden2, pooled = self.second(ids, ends)
    return torch.cat([hidden, hidden2], -1), pooled

  def noise(self, x, t, ids, ends, sizes):
    """The predicted noise of scaled latents x at timesteps t, for captions and size conditioning [B,6]."""
    context, pooled = self.words(ids, ends)
    y = torch.cat([pooled, sinusoids(sizes, 256).flatten(1).to(pooled.dtype)], -1)
    return self.unet(x, t, context, y)


def count(module):
  return sum(p.numel() for p in module.parameters())
