#!/usr/bin/env python3
"""Writes image_nodes.json: what ComfyUI's own image, mask and latent nodes give for small inputs.

    python image_nodes.py PATH_TO_COMFYUI > image_nodes.json

Each case: class, literal inputs, tensors as {"shape", "data"}, latents as {"samples": tensor}, outputs likewise.
"""
import asyncio
import json
import os
import sys
import types

sys.path.insert(0, os.path.abspath(sys.argv[1]))
os.chdir(sys.argv[1])
sys.argv = ["main.py", "--cpu", "--disable-api-nodes"]
server = types.ModuleType("server")
server.PromptServer = type("PromptServer", (), {"instance": None})
sys.modules["server"] = server
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
import nodes  # noqa: E402
import torch  # noqa: E402

asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
torch.manual_seed(7)


def grid(*shape):  # values that JSON holds exactly
    return torch.randint(0, 65, shape).float() / 64


IMAGE, OTHER, ALPHA = grid(1, 6, 5, 3), grid(1, 4, 7, 3), grid(1, 6, 5, 4)
MASK, SMALL = grid(1, 6, 5), grid(1, 3, 4)
LATENT = {"samples": torch.round((grid(1, 4, 9, 10) - 0.5) * 512) / 64}
PATCH = {"samples": torch.round((grid(1, 4, 5, 4) - 0.5) * 512) / 64}
# Soft shapes: the detector's ties would hang on the last bit of a sum.
Y, X = torch.meshgrid(torch.arange(24.0), torch.arange(20.0), indexing="ij")
DISC = torch.sigmoid(3.7 - torch.hypot(Y - 11.3, X - 8.6))[None, :, :, None] * torch.tensor([0.9, 0.55, 0.3])
DISC = torch.round((DISC + 0.02 * torch.sin(0.9 * X + 0.37 * Y)[None, :, :, None] + 0.02) * 4096) / 4096
MODES = ["ADD", "DARKEN", "DST_ATOP", "LIGHTEN", "MULTIPLY", "OVERLAY", "SCREEN", "SRC_ATOP", "SRC_OVER", "XOR"]
CASES = [
    ("ImageInvert", {"image": IMAGE}), ("ImageBatch", {"image1": IMAGE, "image2": OTHER}),
    ("EmptyImage", {"width": 3, "height": 2, "batch_size": 1, "color": 0x1280FF}),
    ("ImagePadForOutpaint", {"image": grid(1, 9, 8, 3), "left": 3, "top": 0, "right": 2, "bottom": 1, "feathering": 2}),
    ("ImageScale", {"image": IMAGE, "upscale_method": "bilinear", "width": 8, "height": 0, "crop": "disabled"}),
    ("ImageScale", {"image": IMAGE, "upscale_method": "bicubic", "width": 7, "height": 3, "crop": "center"}),
    ("ImageScaleBy", {"image": IMAGE, "upscale_method": "nearest-exact", "scale_by": 1.5}),
    ("ImageCrop", {"image": IMAGE, "width": 3, "height": 9, "x": 1, "y": 2}),
    ("ImageRotate", {"image": IMAGE, "rotation": "90 degrees"}),
    ("ImageRotate", {"image": IMAGE, "rotation": "270 degrees"}),
    ("ImageFlip", {"image": IMAGE, "flip_method": "y-axis: horizontally"}),
    ("ImageStitch", {"image1": IMAGE, "image2": OTHER, "direction": "left", "match_image_size": False,
                     "spacing_width": 3, "spacing_color": "red"}),
    ("ResizeAndPadImage", {"image": IMAGE, "target_width": 9, "target_height": 7, "padding_color": "white",
                           "interpolation": "area"}),
    *[("ImageBlend", {"image1": IMAGE, "image2": OTHER, "blend_factor": 0.75, "blend_mode": mode})
      for mode in ("normal", "screen", "overlay", "soft_light", "difference")],
    ("ImageBlur", {"image": IMAGE, "blur_radius": 2, "sigma": 0.8}),
    ("ImageSharpen", {"image": IMAGE, "sharpen_radius": 1, "sigma": 0.5, "alpha": 0.25}),
    ("ImageCompositeMasked", {"destination": IMAGE, "source": OTHER, "x": 2, "y": 1, "resize_source": False,
                              "mask": SMALL}),
    ("ImageCompositeMasked", {"destination": IMAGE, "source": grid(1, 4, 7, 4), "x": 0, "y": 0, "resize_source": True}),
    ("SplitImageWithAlpha", {"image": ALPHA}), ("JoinImageWithAlpha", {"image": IMAGE, "alpha": SMALL}),
    *[("PorterDuffImageComposite", {"source": IMAGE, "source_alpha": MASK, "destination": grid(1, 6, 5, 3),
                                    "destination_alpha": grid(1, 6, 5), "mode": mode}) for mode in MODES],
    ("MaskToImage", {"mask": MASK}), ("ImageToMask", {"image": ALPHA, "channel": "alpha"}),
    ("ImageColorToMask", {"image": torch.tensor([[[[0.0, 0.5, 1.0], [0.25, 0.5, 1.0]]]]), "color": 0x0080FF}),
    ("CropMask", {"mask": MASK, "x": 2, "y": 1, "width": 9, "height": 2}),
    *[("MaskComposite", {"destination": MASK, "source": SMALL, "x": 2, "y": 1, "operation": operation})
      for operation in ("multiply", "add", "subtract", "and", "or", "xor")],
    ("FeatherMask", {"mask": torch.ones(1, 6, 5), "left": 2, "top": 3, "right": 2, "bottom": 1}),
    ("GrowMask", {"mask": MASK, "expand": 2, "tapered_corners": True}),
    ("GrowMask", {"mask": MASK, "expand": -1, "tapered_corners": False}),
    ("ThresholdMask", {"mask": MASK, "value": 0.5}),
    *[("Morphology", {"image": IMAGE, "operation": operation, "kernel_size": size})
      for operation, size in (("erode", 3), ("dilate", 4), ("open", 3), ("close", 5), ("gradient", 3), ("top_hat", 4),
                              ("bottom_hat", 9))],
    ("ImageRGBToYUV", {"image": IMAGE}), ("ImageYUVToRGB", {"Y": IMAGE, "U": IMAGE.flip(2), "V": IMAGE.flip(1)}),
    ("ImageAddNoise", {"image": IMAGE, "seed": 12345678901, "strength": 0.25}),
    ("Canny", {"image": DISC, "low_threshold": 0.4, "high_threshold": 0.8}),
    ("Canny", {"image": DISC, "low_threshold": 0.06, "high_threshold": 0.9}),
    ("LatentConcat", {"samples1": LATENT, "samples2": {"samples": LATENT["samples"][:, :, :, :4]}, "dim": "-x"}),
    ("LatentConcat", {"samples1": LATENT, "samples2": {"samples": LATENT["samples"][:, :, :2]}, "dim": "y"}),
    ("LatentCut", {"samples": LATENT, "dim": "y", "index": -4, "amount": 9}),
    ("LatentCut", {"samples": LATENT, "dim": "x", "index": 3, "amount": 2}),
    ("LatentCutToBatch", {"samples": LATENT, "dim": "x", "slice_size": 3}),
    ("LatentUpscaleBy", {"samples": PATCH, "upscale_method": "bislerp", "scale_by": 1.5}),
    ("LatentComposite", {"samples_to": LATENT, "samples_from": PATCH, "x": 24, "y": 16, "feather": 16}),
    ("LatentCompositeMasked", {"destination": LATENT, "source": PATCH, "x": 64, "y": 8, "resize_source": False,
                               "mask": SMALL}),
    ("LatentBlend", {"samples1": LATENT, "samples2": PATCH, "blend_factor": 0.25}),
    ("LatentRotate", {"samples": PATCH, "rotation": "90 degrees"}),
    ("LatentFlip", {"samples": PATCH, "flip_method": "x-axis: vertically"}),
    ("LatentCrop", {"samples": LATENT, "width": 64, "height": 64, "x": 16, "y": 80}),
    ("LatentInterpolate", {"samples1": PATCH, "samples2": {"samples": PATCH["samples"].flip(3)}, "ratio": 0.25}),
    ("LatentAdd", {"samples1": PATCH, "samples2": {"samples": PATCH["samples"].flip(2)}}),
]


def short(number):
    number = float(f"{number:.6g}")
    return int(number) if number == int(number) else number


def packed(value):
    if isinstance(value, dict):
        return {"samples": packed(value["samples"])}
    if isinstance(value, torch.Tensor):
        return {"shape": list(value.shape), "data": [short(x) for x in value.flatten().tolist()]}
    return value


def run(name, inputs):
    node = nodes.NODE_CLASS_MAPPINGS[name]
    if hasattr(node, "define_schema"):
        result = node.execute(**inputs).result
    else:
        result = getattr(node(), node.FUNCTION)(**inputs)
    return [packed(value) for value in result]


cases = [{"class": name, "inputs": {key: packed(value) for key, value in inputs.items()}, "outputs": run(name, inputs)}
         for name, inputs in CASES]
print("[" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "]", file=sys.__stdout__)
