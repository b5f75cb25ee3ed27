"""Writes noise.safetensors: the random numbers of torch, numpy and torchsde, and the noise that ComfyUI makes of them.

    python make_noise.py COMFYUI     (comfyui.py says what it needs)
"""
from comfyui import write  # first: it opens ComfyUI
import numpy as np
import torch
import torchsde
from comfy.k_diffusion.sampling import BrownianTreeNoiseSampler, default_noise_sampler
from comfy.sample import prepare_noise


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def torch_draws():
    out = {}
    for seed in (0, 1, 42, 0xFFFFFFFF, 0x123456789ABCDEF0):
        for count in (1, 7, 15, 16, 17, 31, 64, 250):
            out[f"randn.{seed}.{count}"] = torch.randn(count, generator=seeded(seed))
    g = seeded(5)  # one stream: an odd count leaves a number over, blocks do not touch it
    out["stream"] = torch.cat([torch.randn(n, generator=g) for n in (3, 16, 2, 20, 1)])
    big = torch.randn(1 << 18, generator=seeded(7))
    out["long.bits"] = big.view(torch.int32).to(torch.int64).cumsum(0)[4095::4096]  # every bit of a long draw counts
    out["uniform"] = torch.rand(64, generator=seeded(3))
    out["uniform_double"] = torch.rand(16, generator=seeded(3), dtype=torch.float64)
    out["randint"] = torch.cat([torch.randint(0, 10, (8,), generator=seeded(9)),
                                torch.randint(-5, 2**40, (8,), generator=seeded(9)),
                                torch.randint(0, 2**63 - 1, (8,), generator=seeded(9))])
    return out


def latent_noise():
    out = {}
    latent = torch.zeros(3, 4, 2, 3)
    out["prepare.batch"] = prepare_noise(latent, 77)
    out["prepare.index"] = prepare_noise(latent, 77, [4, 1, 1])
    ancestral = default_noise_sampler(latent, seed=77)
    out["ancestral"] = torch.stack([ancestral(None, None) for _ in range(2)])
    return out


def seed_sequences():
    """numpy's, of which torchsde takes the seeds of a tree's branches."""
    out = {}
    for name, seed in (("zero", 0), ("small", 3), ("wide", 0xFEDCBA9876543210)):
        words = [np.random.SeedSequence(seed, pool_size=24).generate_state(3)]
        words += [np.random.SeedSequence(seed, spawn_key=key, pool_size=24).generate_state(4)
                  for key in ((0, 0), (5, 3), (2**33 + 1, 34))]
        out[f"seed_sequence.{name}"] = torch.from_numpy(np.concatenate(words).astype(np.int64))
    return out


def brownian_trees():
    out = {}
    x = torch.zeros(1, 4, 3, 3)
    levels = torch.tensor([14.614642, 9.3, 4.0, 1.2345678, 0.5, 0.0291675])
    for seed in (0, 12345, 2**63 + 9):
        sampler = BrownianTreeNoiseSampler(x, levels[-1], levels[0], seed=seed, cpu=True)
        spans = [(i, i + 1) for i in range(5)] + [(1, 4), (0, 5), (4, 2)]
        out[f"brownian.{seed}"] = torch.stack([sampler(levels[a], levels[b])[0].flatten() for a, b in spans])
    tree = torchsde.BrownianTree(0.0, torch.zeros(16), 1.0, entropy=3)
    out["tree"] = torch.stack([tree(0.25, 0.75), tree(0.1, 0.100001), tree(0.0, 1.0), tree(0.333333, 0.9)])
    return out


if __name__ == "__main__":
    write("noise", torch_draws() | latent_noise() | seed_sequences() | brownian_trees())
