"""The nodes the stand-in server knows: what /object_info says of them and how a graph of them is checked. Only those
that the page and the ComfyUI frontend's default workflow use."""

SAMPLERS = ["euler", "euler_ancestral", "heun", "dpmpp_2m", "dpmpp_2m_sde", "ddim", "uni_pc"]
SCHEDULERS = ["normal", "karras", "exponential", "sgm_uniform", "simple", "beta"]
MAX_SEED = 18446744073709551615


def _node(name, category, required, outputs, output_names=None, is_output=False, display=None, hidden=None):
    inputs = {"required": required}
    if hidden:
        inputs["hidden"] = hidden
    return {
        "input": inputs, "input_order": {kind: list(fields) for kind, fields in inputs.items()},
        "is_input_list": False, "output": outputs, "output_is_list": [False] * len(outputs),
        "output_name": output_names or outputs, "name": name, "display_name": display or name, "description": "",
        "python_module": "nodes", "category": category, "output_node": is_output, "has_intermediate_output": False,
        "search_aliases": [],
    }


def _int(default, low, high, **more):
    return ["INT", {"default": default, "min": low, "max": high, **more}]


def _float(default, low, high, step, **more):
    return ["FLOAT", {"default": default, "min": low, "max": high, "step": step, **more}]


def object_info(checkpoints, pictures):
    sides = {"width": _int(512, 16, 16384, step=8), "height": _int(512, 16, 16384, step=8)}
    kept = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}
    nodes = [
        _node("CheckpointLoaderSimple", "loaders", {"ckpt_name": [list(checkpoints), {"tooltip": "The checkpoint."}]},
              ["MODEL", "CLIP", "VAE"], display="Load Checkpoint"),
        _node("CLIPTextEncode", "conditioning",
              {"text": ["STRING", {"multiline": True, "dynamicPrompts": True}], "clip": ["CLIP", {}]},
              ["CONDITIONING"], display="CLIP Text Encode (Prompt)"),
        _node("EmptyLatentImage", "latent", {**sides, "batch_size": _int(1, 1, 4096)}, ["LATENT"],
              display="Empty Latent Image"),
        _node("KSampler", "sampling",
              {"model": ["MODEL", {}], "seed": _int(0, 0, MAX_SEED, control_after_generate=True),
               "steps": _int(20, 1, 10000), "cfg": _float(8.0, 0.0, 100.0, 0.1, round=0.01),
               "sampler_name": [SAMPLERS, {}], "scheduler": [SCHEDULERS, {}], "positive": ["CONDITIONING", {}],
               "negative": ["CONDITIONING", {}], "latent_image": ["LATENT", {}],
               "denoise": _float(1.0, 0.0, 1.0, 0.01)}, ["LATENT"]),
        _node("VAEDecode", "latent", {"samples": ["LATENT", {}], "vae": ["VAE", {}]}, ["IMAGE"],
              display="VAE Decode"),
        _node("SaveImage", "image", {"images": ["IMAGE", {}], "filename_prefix": ["STRING", {"default": "ComfyUI"}]},
              [], is_output=True, display="Save Image", hidden=kept),
        _node("PreviewImage", "image", {"images": ["IMAGE", {}]}, [], is_output=True, display="Preview Image",
              hidden=kept),
        _node("HearthComputeOptions", "advanced/hearth",
              {"model": ["MODEL", {}], "clip": ["CLIP", {}], "vae": ["VAE", {}],
               "precision": [["default", "auto", "fp32", "fp16", "bf16"], {}],
               "attention": [["default", "auto", "tiled", "exact"], {}], "vae_slicing": [["default", "on", "off"], {}],
               "vae_tiling": [["default", "auto", "on", "off"], {}], "vae_tile": _int(512, 64, 4096, step=32)},
              ["MODEL", "CLIP", "VAE"], display="Compute Options"),
        _node("LoadImage", "image", {"image": [list(pictures), {"image_upload": True}]}, ["IMAGE", "MASK"],
              display="Load Image"),
    ]
    return {node["name"]: node for node in nodes}


def _fault(kind, message, details="", **extra):
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def _is_link(value):
    return isinstance(value, list)


def _input_fault(name, spec, inputs):
    if name not in inputs:
        return _fault("required_input_missing", "Required input is missing", name, input_name=name)
    value, kind = inputs[name], spec[0]
    if _is_link(value):
        return None
    if isinstance(kind, list) and value not in kind:
        return _fault("value_not_in_list", "Value not in list", f"{name}: '{value}' not in {kind}", input_name=name,
                      input_config=spec, received_value=value)
    if kind == "INT":
        inputs[name] = value = int(value)
    if kind in ("INT", "FLOAT"):
        options = spec[1]
        if value < options["min"]:
            return _fault("value_smaller_than_min", f"Value {value} smaller than min of {options['min']}", name,
                          input_name=name, input_config=spec, received_value=value)
        if value > options["max"]:
            return _fault("value_bigger_than_max", f"Value {value} bigger than max of {options['max']}", name,
                          input_name=name, input_config=spec, received_value=value)
    return None


def check_graph(graph, nodes):
    """None, or the body of the refusal as ComfyUI words it. Whole numbers given as text become numbers in place."""
    for node_id, node in graph.items():
        kind = node.get("class_type")
        if kind not in nodes:
            title = node.get("_meta", {}).get("title", kind)
            error = _fault("missing_node_type", f"Node '{title}' not found. The custom node may not be installed.",
                           f"Node ID '#{node_id}'", node_id=node_id, class_type=kind, node_title=title)
            return {"error": error, "node_errors": {}}
    outputs = outputs_of(graph, nodes)
    if not outputs:
        return {"error": _fault("prompt_no_outputs", "Prompt has no outputs"), "node_errors": {}}
    faults = {}
    for node_id, node in graph.items():
        specs = nodes[node["class_type"]]["input"]["required"]
        found = [_input_fault(name, spec, node["inputs"]) for name, spec in specs.items()]
        if any(found):
            faults[node_id] = {"errors": [fault for fault in found if fault], "dependent_outputs": outputs,
                               "class_type": node["class_type"]}
    if not faults:
        return None
    details = "\n".join(f"{fault['message']}: {fault['details']}" for node in faults.values()
                        for fault in node["errors"])
    error = _fault("prompt_outputs_failed_validation", "Prompt outputs failed validation", details)
    return {"error": error, "node_errors": faults}


def outputs_of(graph, nodes):
    return [node_id for node_id, node in graph.items() if nodes[node["class_type"]]["output_node"]]


def in_order(graph):
    """Node ids, what a node takes from first."""
    done = []

    def visit(node_id):
        if node_id in done:
            return
        for value in graph[node_id]["inputs"].values():
            if _is_link(value):
                visit(value[0])
        done.append(node_id)

    for node_id in graph:
        visit(node_id)
    return done


def upstream(graph, node_id, name, default=None):
    """The first value of input `name` among the node and what it takes from."""
    for at in reversed(in_order(graph)[:in_order(graph).index(node_id) + 1]):
        value = graph[at]["inputs"].get(name)
        if value is not None and not _is_link(value):
            return value
    return default
