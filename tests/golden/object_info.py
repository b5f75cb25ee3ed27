#!/usr/bin/env python3
"""Writes object_info.json: what ComfyUI declares about the nodes Hearth has, read from ComfyUI itself.

    python object_info.py PATH_TO_COMFYUI docs/nodes.md > object_info.json
    python object_info.py PATH_TO_COMFYUI --classes > comfyui_classes.json

The second lists the classes of all its nodes by the module they come from.

Needs ComfyUI's Python packages (torch on the CPU is enough). Names, types, defaults and ranges only: texts that explain
are left out, and so are lists of files, which depend on the machine.
"""
import asyncio
import json
import os
import re
import sys
import types

OPTIONS = ("default", "min", "max", "step", "round", "multiline", "dynamicPrompts", "control_after_generate", "lazy",
           "image_upload", "image_folder", "display")
FILE_COMBOS = {"ckpt_name", "config_name", "model_path", "unet_name", "clip_name", "clip_name1", "clip_name2",
               "vae_name", "lora_name", "latent"}


def load_nodes(path):
    sys.path.insert(0, path)
    os.chdir(path)
    sys.argv = ["main.py", "--cpu", "--disable-api-nodes"]
    server = types.ModuleType("server")  # nodes want its class at import and nothing of it
    server.PromptServer = type("PromptServer", (), {"instance": None})
    sys.modules["server"] = server
    import comfy.options
    comfy.options.enable_args_parsing()
    import nodes
    asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
    return nodes


def spec(name, declared):
    kind, options = declared[0], dict(declared[1]) if len(declared) > 1 else {}
    if kind == "COMBO":
        kind = options.get("options", [])
    if not isinstance(kind, str):
        kind = [] if name in FILE_COMBOS or "image_upload" in options else list(kind)
    return [kind, {key: options[key] for key in OPTIONS if key in options}]


def describe(nodes, name):
    node = nodes.NODE_CLASS_MAPPINGS[name]
    inputs = node.INPUT_TYPES()
    modern = hasattr(node, "GET_NODE_INFO_V1")
    info = node.GET_NODE_INFO_V1() if modern else {}
    get = lambda key, old, default: info.get(key, getattr(node, old, default))  # noqa: E731
    outputs = get("output", "RETURN_TYPES", ())
    return {
        "display": info.get("display_name") or nodes.NODE_DISPLAY_NAME_MAPPINGS.get(name, name),
        "category": get("category", "CATEGORY", "sd"),
        "module": get("python_module", "RELATIVE_PYTHON_MODULE", "nodes"),
        "required": {key: spec(key, value) for key, value in inputs.get("required", {}).items()},
        "optional": {key: spec(key, value) for key, value in inputs.get("optional", {}).items()},
        "output": list(outputs),
        "output_name": list(get("output_name", "RETURN_NAMES", outputs)),
        "output_node": bool(get("output_node", "OUTPUT_NODE", False)),
    }


def list_classes(nodes):
    by_module = {}
    for name, node in nodes.NODE_CLASS_MAPPINGS.items():
        by_module.setdefault(getattr(node, "RELATIVE_PYTHON_MODULE", node.__module__), []).append(name)
    lines = [f"{json.dumps(module)}:{json.dumps(sorted(names))}" for module, names in sorted(by_module.items())]
    print("{" + ",\n".join(lines) + "}", file=sys.__stdout__)


def main():
    if sys.argv[2] == "--classes":
        return list_classes(load_nodes(os.path.abspath(sys.argv[1])))
    wanted = re.findall(r"^### `(\S+)`", open(sys.argv[2], encoding="utf-8").read(), re.M)
    nodes = load_nodes(os.path.abspath(sys.argv[1]))
    known = {name: describe(nodes, name) for name in wanted if name in nodes.NODE_CLASS_MAPPINGS}
    lines = [f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}" for name, value in known.items()]
    print("{" + ",\n".join(lines) + "}", file=sys.__stdout__)


main()
