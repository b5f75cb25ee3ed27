"""Maps resized, blurred and sharpened by ComfyUI's own functions (torch and Pillow), for src/ops/resample.

    python tests/golden/resample/make.py PATH_OF_COMFYUI     (torch, Pillow and safetensors installed)

resample.safetensors: the sources "image" [B,H,W,C], "rgba", "grey", "tiny" and "latent" [B,C,H,W], and results named
SOURCE/METHOD/WIDTHxHEIGHT/CROP, SOURCE/blur/RADIUS/SIGMA or SOURCE/sharpen/RADIUS/SIGMA/ALPHA, in the source's order.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "bislerp", "lanczos"]
CASES = [("image", METHODS, [(7, 5), (16, 11), (13, 14)], ["disabled"]), ("image", METHODS, [(6, 9)], ["center"]),
         ("latent", METHODS[:5], [(17, 6), (14, 12), (5, 10)], ["disabled", "center"]),
         ("rgba", ["lanczos", "bicubic"], [(5, 17), (12, 10)], ["disabled"]), ("rgba", ["lanczos"], [(9, 4)], ["center"]),
         ("tiny", METHODS, [(3, 2)], ["disabled"]), ("grey", METHODS[:5], [(9, 8)], ["disabled"])]


def main():
    sys.argv, comfyui = ["make.py", "--cpu"], sys.argv[1]
    sys.path.insert(0, comfyui)
    import comfy.options
    comfy.options.enable_args_parsing()
    import comfy.utils
    import safetensors.torch
    import torch
    from comfy_extras.nodes_post_processing import Blur, Sharpen

    torch.manual_seed(3)
    sources = {"image": torch.rand(2, 11, 13, 3), "rgba": torch.rand(1, 10, 12, 4), "grey": torch.rand(1, 12, 10, 1),
               "tiny": torch.rand(1, 1, 1, 3), "latent": torch.randn(1, 4, 9, 14)}
    sources["latent"][0, :, 2, 3] = 0
    sources["latent"][0, :, 4, 5] = -sources["latent"][0, :, 4, 4]
    sources["rgba"][0, :3, :, 3] = 0
    out = dict(sources)
    for name, methods, sizes, crops in CASES:
        first = sources[name] if name == "latent" else sources[name].movedim(-1, 1)
        for method in methods:
            for width, height in sizes:
                for crop in crops:
                    result = comfy.utils.common_upscale(first, width, height, method, crop)
                    result = result if name == "latent" else result.movedim(1, -1)
                    out[f"{name}/{method}/{width}x{height}/{crop}"] = result.contiguous()
    for name, radius, sigma in (("image", 1, 1.0), ("image", 5, 0.3), ("grey", 9, 2.5)):
        out[f"{name}/blur/{radius}/{sigma}"] = Blur.execute(sources[name], radius, sigma).args[0].contiguous()
    for name, radius, sigma, alpha in (("image", 1, 1.0, 1.0), ("image", 4, 0.5, 2.5)):
        out[f"{name}/sharpen/{radius}/{sigma}/{alpha}"] = Sharpen.execute(sources[name], radius, sigma, alpha).args[0].contiguous()
    safetensors.torch.save_file(out, HERE / "resample.safetensors")
    print(len(out), sum(t.numel() * 4 for t in out.values()))


if __name__ == "__main__":
    main()
