#!/usr/bin/env python3
"""Writes picture_models/adapters.safetensors: small weights, adapters of every kind for them, and what ComfyUI's
own loader and patcher make of both in float32.

    python make_adapters.py PATH_TO_COMFYUI

A case NAME has the tensors NAME.weight (and NAME.bias) before, m_NAME.* as an adapter file has them, and NAME.result
(NAME.bias_result) after. Strengths lie in the metadata.
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file

sys.path.insert(0, sys.argv[1])
sys.argv = ["x", "--cpu"]
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing(False)
import comfy.cli_args  # noqa: E402

comfy.cli_args.args.cpu = True
import comfy.lora  # noqa: E402

torch_kron = torch.kron
torch.kron = lambda a, b: torch_kron(a.contiguous(), b.contiguous())  # some releases refuse what einsum gives
torch.manual_seed(20)
LINEAR, CONV = (24, 20), (16, 12, 3, 3)


def r(*shape, spread=0.3):
    return torch.randn(*shape) * spread


def lora(out, inner, rank=4, alpha=2.0):
    return {"lora_up.weight": r(*out[:1], rank, *out[1:]), "lora_down.weight": r(rank, *inner),
            "alpha": torch.tensor(alpha)}


def loha(out, columns, rank=3):
    return {"hada_w1_a": r(out, rank), "hada_w1_b": r(rank, columns), "hada_w2_a": r(out, rank),
            "hada_w2_b": r(rank, columns), "alpha": torch.tensor(1.5)}


def tucker(rank=3):
    return {"hada_t1": r(rank, rank, 3, 3), "hada_w1_a": r(rank, 16), "hada_w1_b": r(rank, 12),
            "hada_t2": r(rank, rank, 3, 3), "hada_w2_a": r(rank, 16), "hada_w2_b": r(rank, 12),
            "alpha": torch.tensor(2.0)}


ROWS, INPUTS = {"dora_scale": r(24, 1).abs() + 1}, {"dora_scale": r(1, 20).abs() + 1}
CONV_ROWS, CONV_INPUTS = {"dora_scale": r(16, 1, 1, 1).abs() + 1}, {"dora_scale": r(1, 12, 1, 1).abs() + 1}
LOKR = {"lokr_w1": r(4, 5), "lokr_w2": r(6, 4)}
OFT = {"oft_blocks": r(4, 6, 6)}

# name: (strength, shape of the weight, what the file has for it)
CASES = {
    "lora": (0.7, LINEAR, lora((24,), (20,))),
    "lora_no_alpha": (-0.4, LINEAR, {k: v for k, v in lora((24,), (20,)).items() if k != "alpha"}),
    "lora_conv": (1.0, CONV, lora((16, 1, 1), (12, 3, 3))),
    "locon": (0.5, CONV, {"lora_up.weight": r(16, 4, 1, 1), "lora_mid.weight": r(4, 4, 3, 3),
                          "lora_down.weight": r(4, 12, 1, 1), "alpha": torch.tensor(4.0)}),
    "lora_reshape": (1.0, LINEAR, {**lora((24,), (20,)), "reshape_weight": torch.tensor([24, 20])}),
    "dora_rows": (1.0, LINEAR, {**lora((24,), (20,)), **ROWS}),
    "dora_rows_part": (0.6, LINEAR, {**lora((24,), (20,)), **ROWS}),
    "dora_inputs": (0.6, LINEAR, {**lora((24,), (20,)), **INPUTS}),
    "dora_conv_rows": (0.8, CONV, {**lora((16, 1, 1), (12, 3, 3)), **CONV_ROWS}),
    "dora_conv_inputs": (1.0, CONV, {**lora((16, 1, 1), (12, 3, 3)), **CONV_INPUTS}),
    "loha": (0.9, LINEAR, loha(24, 20)),
    "loha_conv": (1.3, CONV, loha(16, 12 * 9)),
    "loha_tucker": (1.0, CONV, tucker()),
    "loha_dora": (0.5, LINEAR, {**loha(24, 20), **ROWS}),
    "lokr": (0.7, LINEAR, {**LOKR, "alpha": torch.tensor(3.0)}),
    "lokr_low": (0.7, LINEAR,
                 {"lokr_w1": r(4, 5), "lokr_w2_a": r(6, 2), "lokr_w2_b": r(2, 4), "alpha": torch.tensor(3.0)}),
    "lokr_both_low": (1.0, LINEAR, {"lokr_w1_a": r(4, 3), "lokr_w1_b": r(3, 5), "lokr_w2_a": r(6, 2),
                                    "lokr_w2_b": r(2, 4), "alpha": torch.tensor(3.0)}),
    "lokr_conv": (1.0, CONV, {"lokr_w1": r(4, 3), "lokr_w2": r(4, 4, 3, 3)}),
    "lokr_conv_low": (0.4, CONV,
                      {"lokr_w1": r(4, 3), "lokr_w2_a": r(4, 2), "lokr_w2_b": r(2, 4 * 9), "alpha": torch.tensor(1.0)}),
    "lokr_tucker": (1.0, CONV, {"lokr_w1": r(4, 3), "lokr_t2": r(2, 2, 3, 3), "lokr_w2_a": r(2, 4),
                                "lokr_w2_b": r(2, 4), "alpha": torch.tensor(1.0)}),
    "lokr_dora": (0.8, LINEAR, {**LOKR, **INPUTS}),
    "oft": (1.0, LINEAR, OFT),
    "oft_part": (0.6, LINEAR, OFT),
    "oft_bounded": (1.0, LINEAR, {**OFT, "alpha": torch.tensor(0.5)}),
    "oft_conv": (0.8, CONV, {"oft_blocks": r(4, 4, 4), "alpha": torch.tensor(100.0)}),
    "oft_dora": (1.0, LINEAR, {**OFT, "alpha": torch.tensor(0.9), **ROWS}),
    "boft": (1.0, CONV, {"oft_blocks": r(3, 4, 4, 4), "alpha": torch.tensor(0.0)}),
    "boft_part": (0.6, CONV, {"oft_blocks": r(3, 4, 4, 4), "alpha": torch.tensor(1.0), "rescale": r(16, 1, 1, 1) + 1}),
    "boft_dora": (0.9, CONV, {"oft_blocks": r(2, 4, 4, 4), "alpha": torch.tensor(1.2), **CONV_INPUTS}),
    "diff": (0.7, CONV, {"diff": r(*CONV)}),
    "diff_b": (0.7, LINEAR, {"diff": r(*LINEAR), "diff_b": r(24)}),
    "norm": (0.3, (16,), {"w_norm": r(16), "b_norm": r(16)}),
    "set": (0.3, LINEAR, {"set_weight": r(*LINEAR)}),
    "diff_over_lora": (0.5, LINEAR, {**lora((24,), (20,)), "diff": r(*LINEAR)}),
}


def patched(loaded, key, weight, strength):
    if key not in loaded:
        return weight.clone()
    return comfy.lora.calculate_weight([(strength, loaded[key], 1.0, None, None)], weight.clone(), key)


def main():
    out, strengths = {}, {}
    for name, (strength, shape, parts) in CASES.items():
        file = {f"m_{name}.{part}": tensor for part, tensor in parts.items()}
        weight, bias = r(*shape, spread=1), r(shape[0], spread=1)
        loaded = comfy.lora.load_lora(file, {f"m_{name}": f"{name}.weight"})
        out.update({key: tensor.float() for key, tensor in file.items()})
        out[f"{name}.weight"], out[f"{name}.bias"] = weight, bias
        out[f"{name}.result"] = patched(loaded, f"{name}.weight", weight, strength)
        out[f"{name}.bias_result"] = patched(loaded, f"{name}.bias", bias, strength)
        assert not torch.equal(out[f"{name}.result"], weight), name
        strengths[name] = str(strength)
    save_file({key: tensor.clone().contiguous() for key, tensor in out.items()},
              pathlib.Path(__file__).resolve().parent / "picture_models" / "adapters.safetensors", strengths)
    print(len(CASES), "cases")


if __name__ == "__main__":
    main()
