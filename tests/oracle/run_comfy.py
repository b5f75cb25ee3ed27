"""Runs prompts in API format with ComfyUI's own nodes, without its server, on the CPU in float32.

    python run_comfy.py --comfy COMFYUI_SOURCE FOLDER OUT [NAME...]

FOLDER is what workflow_cases.py filled; latents, pictures and seconds go to OUT. Runs where torch and ComfyUI's
requirements are. ComfyUI knows models by their exact sizes; what it needs to take random checkpoints of any size is
added here: text encoders and VAE are configured from the tensors' shapes, and a UNet of unknown sizes gets the family
it looks like.
"""
import argparse
import asyncio
import importlib.abc
import importlib.machinery
import importlib.util
import json
import pathlib
import sys
import time
import traceback
import types


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comfy", required=True, help="ComfyUI's source tree")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--trace", action="store_true", help="print norms of what the UNet gets and gives")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="*", help="workflows (default: all)")
    return parser.parse_args()


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands, where they are missing, for packages of video and sound: ComfyUI imports them, no workflow uses them."""

    PACKAGES = ("av", "torchaudio")

    class Module(types.ModuleType):
        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

    def __init__(self):
        self.missing = [name for name in self.PACKAGES if importlib.util.find_spec(name) is None]

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.missing:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return self.Module(spec.name)

    def exec_module(self, module):
        pass


def start(comfy):
    """ComfyUI's modules, set to the CPU and float32."""
    import torchvision  # noqa: F401  it can do without av by itself
    sys.meta_path.append(Absent())
    sys.path.insert(0, comfy)
    sys.argv = ["run_comfy", "--cpu", "--force-fp32", "--fp32-vae", "--fp32-text-enc"]
    import comfy.options
    comfy.options.enable_args_parsing()
    import comfy.sd
    import nodes
    return nodes


# ---- checkpoints of any size ---------------------------------------------------------------------------------------


def text_config(sd, prefix, layers_name, names):
    """Sizes of one text encoder from its tensors; None where the file has none."""
    tokens = sd.get(prefix + names["tokens"])
    if tokens is None:
        return None
    width = tokens.shape[1]
    layers = {key[len(prefix + layers_name):].split(".")[0] for key in sd if key.startswith(prefix + layers_name)}
    projection = sd.get(prefix + names["projection"])
    return dict(hidden_size=width, num_attention_heads=width // 64, num_hidden_layers=len(layers),
                intermediate_size=sd[prefix + layers_name + names["wide"]].shape[0],
                projection_dim=width if projection is None else projection.shape[1])


HF = dict(tokens="embeddings.token_embedding.weight", wide="0.mlp.fc1.weight", projection="none")
OPEN = dict(tokens="token_embedding.weight", wide="0.mlp.c_fc.weight", projection="text_projection")


def text_configs(sd):
    found = {}
    for encoder, layers, names, prefixes in (
            ("clip_l", "encoder.layers.", HF,
             ("cond_stage_model.transformer.text_model.", "conditioner.embedders.0.transformer.text_model.")),
            ("clip_g", "transformer.resblocks.", OPEN,
             ("conditioner.embedders.0.model.", "conditioner.embedders.1.model."))):
        for prefix in prefixes:
            config = text_config(sd, prefix, layers, names)
            if config:
                found[encoder + "_model_config"] = config
    return found


def vae_config(sd):
    levels = sorted({int(key.split(".")[2]) for key in sd if key.startswith("encoder.down.")})
    first = sd["encoder.conv_in.weight"].shape[0]
    widths = [sd[f"encoder.down.{level}.block.0.conv2.weight"].shape[0] for level in levels]
    blocks = len({key.split(".")[4] for key in sd if key.startswith("encoder.down.0.block.")})
    channels = sd["decoder.conv_in.weight"].shape[1]
    return {"params": {"embed_dim": sd["post_quant_conv.weight"].shape[1], "ddconfig": {
        "double_z": True, "z_channels": channels, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": first,
        "ch_mult": [width // first for width in widths], "num_res_blocks": blocks, "attn_resolutions": [],
        "dropout": 0.0}}}


def accept_any_size():
    import comfy.clip_model
    import comfy.model_detection
    import comfy.sd
    import comfy.supported_models as families

    known, load, vae = (comfy.model_detection.model_config_from_unet_config, comfy.sd.load_state_dict_guess_config,
                        comfy.sd.VAE)

    def family_of(unet_config, state_dict=None):
        if any(family.matches(unet_config, state_dict) for family in families.models):
            return known(unet_config, state_dict)
        if not unet_config["use_linear_in_transformer"]:
            return families.SD15(unet_config)
        levels = len(unet_config["channel_mult"])
        return (families.SDXL if levels == 3 else families.SDXLRefiner)(unet_config)

    def load_sized(sd, *args, te_model_options={}, **kwargs):
        return load(sd, *args, te_model_options={**text_configs(sd), **te_model_options}, **kwargs)

    class SizedVae(vae):
        def __init__(self, sd=None, config=None, **kwargs):
            sized = "encoder.conv_in.weight" in sd and "post_quant_conv.weight" in sd
            super().__init__(sd=sd, config=vae_config(sd) if sized and config is None else config, **kwargs)
            if sized:
                levels = len(vae_config(sd)["params"]["ddconfig"]["ch_mult"])
                self.downscale_ratio = self.upscale_ratio = 2 ** (levels - 1)

    text_init = comfy.clip_model.CLIPTextModel.__init__

    def init_projected(self, config, dtype, device, operations):  # ComfyUI's own projection is always square
        text_init(self, config, dtype, device, operations)
        self.text_projection = operations.Linear(config["hidden_size"], config["projection_dim"], bias=False,
                                                 dtype=dtype, device=device)

    comfy.clip_model.CLIPTextModel.__init__ = init_projected
    comfy.model_detection.model_config_from_unet_config = family_of
    comfy.sd.load_state_dict_guess_config = load_sized
    comfy.sd.VAE = SizedVae


# ---- prompts -------------------------------------------------------------------------------------------------------


class Runner:
    def __init__(self, nodes, folder, out):
        import folder_paths
        folder_paths.set_output_directory(str(out))
        folder_paths.set_temp_directory(str(out))
        folder_paths.set_input_directory(str(folder / "input"))
        for kind in ("checkpoints", "loras"):
            folder_paths.add_model_folder_path(kind, str(folder / "models" / kind), is_default=True)
        self.nodes, self.loaded = nodes, {}
        extras = pathlib.Path(nodes.__file__).parent / "comfy_extras"
        for module in ("custom_sampler", "clip_sdxl", "mask", "model_advanced", "latent", "cond"):
            path = extras / f"nodes_{module}.py"
            assert asyncio.run(nodes.load_custom_node(str(path), module_parent="comfy_extras")), path

    def run(self, prompt):
        """Every node once, those it takes from first."""
        results = {}
        for node_id in prompt:
            self.node(prompt, node_id, results)

    def node(self, prompt, node_id, results):
        if node_id in results:
            return results[node_id]
        kind, inputs = prompt[node_id]["class_type"], {}
        for name, value in prompt[node_id]["inputs"].items():
            is_link = isinstance(value, list) and len(value) == 2 and value[0] in prompt
            inputs[name] = self.node(prompt, value[0], results)[value[1]] if is_link else value
        key = json.dumps(prompt[node_id], sort_keys=True) if kind == "CheckpointLoaderSimple" else None
        if key in self.loaded:
            results[node_id] = self.loaded[key]
            return results[node_id]
        made = self.nodes.NODE_CLASS_MAPPINGS[kind]
        if hasattr(made, "define_schema"):
            done = made.execute(**inputs).result
        else:
            done = getattr(made(), made.FUNCTION)(**inputs)
            done = done.get("result", ()) if isinstance(done, dict) else done
        results[node_id] = done
        if key:
            self.loaded[key] = done
        return done


def trace_unet():
    """Prints norms of what the UNet gets and gives."""
    import comfy.model_base
    import torch
    whole = comfy.model_base.BaseModel._apply_model

    def norm(value):
        return f"{tuple(value.shape)} {value.double().norm():.7g}" if torch.is_tensor(value) else "-"

    def traced(self, x, t, c_concat=None, c_crossattn=None, **kwargs):
        given = whole(self, x, t, c_concat, c_crossattn, **kwargs)
        print(f"unet sigma {t.tolist()} x {norm(x)} context {norm(c_crossattn)} y {norm(kwargs.get('y'))} "
              f"concat {norm(c_concat)} -> {norm(given)}")
        return given

    comfy.model_base.BaseModel._apply_model = traced


def main():
    options = parse_options()
    nodes = start(options.comfy)
    import torch
    if options.threads:
        torch.set_num_threads(options.threads)
    accept_any_size()
    if options.trace:
        trace_unet()
    options.folder, options.out = options.folder.resolve(), options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    runner, failed = Runner(nodes, options.folder, options.out), 0
    for path in sorted((options.folder / "workflows").glob("*.json")):
        if options.names and path.stem not in options.names:
            continue
        for old in options.out.glob(path.stem + "_0*"):
            old.unlink()
        began = time.monotonic()
        try:
            with torch.inference_mode():
                runner.run(json.loads(path.read_text()))
        except Exception:  # the others are still worth their time
            failed += 1
            traceback.print_exc()
            continue
        seconds = time.monotonic() - began
        (options.out / f"{path.stem}.seconds").write_text(f"{seconds:.2f}\n")
        print(f"{path.stem}: {seconds:.1f} s", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
