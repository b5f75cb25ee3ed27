#!/usr/bin/env python3
"""Makes the goldens of src/models/lm: tiny random checkpoints and what Hugging Face transformers computes from them.

    python3 make_language_models.py [DIRECTORY]      # default: language_models beside this file

Needs torch (any CPU build), transformers, safetensors and gguf. For each model it writes
    NAME/config.json, NAME/model.safetensors   the checkpoint as transformers saves it
    NAME.gguf                                  the same weights with the names and keys llama.cpp's converter uses
    NAME.golden.safetensors                    token ids, embeddings, every block's output and all logits in float32
Every matrix is made of 8-bit integers times a power of two per 32 columns, so that BF16, F16 and Q8_0 all hold exactly
the same values and one golden, computed in float32, serves every file.
"""

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import save_file

SEED = 20240917
BLOCK = 32  # columns that share a power of two, as a Q8_0 block shares its scale
SHAPE = dict(hidden_size=64, intermediate_size=32, num_attention_heads=4, num_key_value_heads=2, vocab_size=272,
             num_hidden_layers=2, max_position_embeddings=512, tie_word_embeddings=True)
LLAMA3_ROPE = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=64)
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
GGUF_NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}


@dataclass
class Model:
    name: str
    kind: str                  # prefix of transformers' config and model classes
    config: dict = field(default_factory=dict)
    tokens: int = 33           # length of the prompt
    hf: str = "BF16"           # encoding of the safetensors
    gguf: str | None = "Q8_0"  # encoding of the GGUF's matrices; None: no GGUF
    embedding_exponent: int = -5


MODELS = [
    Model("llama", "Llama", gguf="F32"),
    Model("llama3_rope", "Llama", dict(tie_word_embeddings=False, rope_parameters=LLAMA3_ROPE), gguf="F16"),
    Model("llama_linear_rope", "Llama",
          dict(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.5))),
    Model("mistral", "Mistral", dict(sliding_window=12), tokens=47),
    Model("qwen2", "Qwen2", dict(vocab_size=264), hf="F16", gguf="BF16"),
    Model("qwen3", "Qwen3", dict(head_dim=24)),
    Model("gemma3", "Gemma3",
          dict(num_hidden_layers=7, num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=8, sliding_window=16,
               rope_parameters={"full_attention": dict(rope_type="linear", rope_theta=1e5, factor=8.0),
                                "sliding_attention": dict(rope_type="default", rope_theta=1000.0)}),
          tokens=47, embedding_exponent=-8),
    # What a GGUF of Gemma 3 cannot say: a scale of its own for q and another period of the global layers.
    Model("gemma3_scalar", "Gemma3",
          dict(num_key_value_heads=1, head_dim=24, query_pre_attn_scalar=40, sliding_window=10,
               layer_types=["sliding_attention", "full_attention"], final_logit_softcapping=30.0),
          gguf=None, embedding_exponent=-8),
]


def random_matrix(random: np.random.Generator, out: int, n: int, exponent: int) -> np.ndarray:
    codes = np.clip(np.rint(random.normal(0, 40, (out, n))), -127, 127)
    exponents = exponent + random.integers(-1, 2, (out, -(-n // BLOCK)))
    return (codes * np.exp2(np.repeat(exponents, BLOCK, axis=1)[:, :n])).astype(np.float32)


def fill(model: torch.nn.Module, spec: Model) -> None:
    """Weights that keep activations and attention scores around one; norms and biases that matter."""
    random = np.random.default_rng(SEED)
    centre = 0 if spec.kind == "Gemma3" else 1  # Gemma computes with 1 + w
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            values = centre + random.integers(-24, 25, parameter.shape) / 64
        elif name.endswith(".bias"):
            values = random.integers(-64, 65, parameter.shape) / 64
        else:
            exponent = spec.embedding_exponent if "embed_tokens" in name else -8
            values = random_matrix(random, *parameter.shape, exponent)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.asarray(values, dtype=np.float32)))


def golden(model: torch.nn.Module, spec: Model) -> dict[str, torch.Tensor]:
    """One pass over the whole prompt, with what enters the first block and leaves every block."""
    ids = torch.from_numpy(np.random.default_rng(SEED + 1).integers(0, model.config.vocab_size, spec.tokens))
    seen = {"input_ids": ids.to(torch.int32)}

    def first(output):
        return (output[0] if isinstance(output, tuple) else output)[0].detach().float().contiguous().clone()

    layers = model.model.layers
    layers[0].register_forward_pre_hook(
        lambda _, args, kwargs: seen.update(embedding=first(args[0] if args else kwargs["hidden_states"])),
        with_kwargs=True)
    for i, layer in enumerate(layers):
        layer.register_forward_hook(lambda _, args, output, i=i: seen.update({f"block.{i}": first(output)}))
    with torch.no_grad():
        seen["logits"] = model(ids[None], use_cache=False).logits[0].float().contiguous()
    return {name: value.reshape(spec.tokens, -1) if value.dim() > 1 else value for name, value in seen.items()}


def interleave(matrix: np.ndarray, heads: int) -> np.ndarray:
    """Rows (i, i + half) of every head become neighbours, the order GGUF's architecture 'llama' turns pairs in."""
    return matrix.reshape(heads, 2, -1, *matrix.shape[1:]).swapaxes(1, 2).reshape(matrix.shape)


def q8_0(matrix: np.ndarray) -> np.ndarray:
    """The blocks of a matrix as random_matrix() makes them, exactly."""
    blocks = matrix.reshape(matrix.shape[0], -1, BLOCK)
    scale = np.ones(blocks.shape[:2])
    for exponent in range(-20, 1):  # the largest power of two that leaves only integers
        step = 2.0**exponent
        scale[np.all(np.rint(blocks / step) == blocks / step, axis=2)] = step
    codes = blocks / scale[..., None]
    assert np.abs(codes).max() <= 127 and np.array_equal(codes, np.rint(codes))
    raw = np.concatenate([scale.astype(np.float16)[..., None].view(np.uint8), codes.astype(np.int8).view(np.uint8)],
                         axis=2)
    return raw.reshape(matrix.shape[0], -1)


def gguf_name(name: str, is_gemma: bool) -> str:
    stem, suffix = name.rsplit(".", 1)
    prefix = ""
    if stem.startswith("model.layers."):
        _, _, index, stem = stem.split(".", 3)
        prefix = f"blk.{index}."
    if stem == "post_attention_layernorm":  # Llama's norm before the MLP, Gemma's norm after attention
        return f"{prefix}{'post_attention_norm' if is_gemma else 'ffn_norm'}.{suffix}"
    return f"{prefix}{GGUF_NAMES[stem]}.{suffix}"


def llama3_factors(config) -> np.ndarray:
    """Llama 3's divisors of the frequencies, from what transformers computes: default over scaled."""
    scaled, _ = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    dim = config.hidden_size // config.num_attention_heads
    plain = 1.0 / (config.rope_parameters["rope_theta"] ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))
    return (plain / scaled).numpy()


def write_keys(out: gguf.GGUFWriter, config, spec: Model) -> None:
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    layered = config.rope_parameters if "full_attention" in config.rope_parameters else None
    rope = layered["full_attention"] if layered else config.rope_parameters
    out.add_block_count(config.num_hidden_layers)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        out.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        out.add_rope_scaling_factor(rope["factor"])
    if layered:
        out.add_rope_freq_base_swa(layered["sliding_attention"]["rope_theta"])
    if spec.kind in ("Qwen3", "Gemma3"):
        out.add_key_length(head_dim)
        out.add_value_length(head_dim)
    if spec.kind in ("Llama", "Mistral"):
        out.add_vocab_size(config.vocab_size)
        out.add_rope_dimension_count(head_dim)
    # llama.cpp's converter leaves Mistral's window out; without it the file would be another model.
    if spec.kind in ("Mistral", "Gemma3"):
        out.add_sliding_window(config.sliding_window)


def write_vocabulary(out: gguf.GGUFWriter, n: int) -> None:
    """Byte-level BPE: the 256 bytes, a few merges, one control token."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    tokens = [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]
    merges = [f"{a} {b}" for a in "aeiou" for b in "lnrst"][: n - 257]
    tokens += [merge.replace(" ", "") for merge in merges] + ["<|end|>"]
    assert len(tokens) == n
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(tokens)
    out.add_token_types([gguf.TokenType.NORMAL] * (n - 1) + [gguf.TokenType.CONTROL])
    out.add_token_merges(merges)
    out.add_eos_token_id(n - 1)


def write_gguf(model: torch.nn.Module, spec: Model, path: Path) -> None:
    config = model.config
    is_gemma, is_llama = spec.kind == "Gemma3", spec.kind in ("Llama", "Mistral")
    out = gguf.GGUFWriter(path, {"Mistral": "llama"}.get(spec.kind, spec.kind.lower()))
    write_keys(out, config, spec)
    write_vocabulary(out, config.vocab_size)
    if config.rope_parameters.get("rope_type") == "llama3":
        out.add_tensor("rope_freqs.weight", llama3_factors(config))
    for name, parameter in model.named_parameters():  # a tied head occurs once
        values = parameter.detach().float().numpy()
        if is_llama and "q_proj" in name:
            values = interleave(values, config.num_attention_heads)
        if is_llama and "k_proj" in name:
            values = interleave(values, config.num_key_value_heads)
        if is_gemma and name.endswith("norm.weight"):
            values = values + 1
        kind = gguf.GGMLQuantizationType[spec.gguf if values.ndim > 1 else "F32"]
        if kind == gguf.GGMLQuantizationType.Q8_0:
            out.add_tensor(gguf_name(name, is_gemma), q8_0(values), raw_dtype=kind)
        else:
            encoded = gguf.quants.quantize(np.ascontiguousarray(values), kind)
            assert np.array_equal(gguf.quants.dequantize(encoded, kind), values), name
            out.add_tensor(gguf_name(name, is_gemma), encoded, raw_dtype=kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def write_hugging_face(model: torch.nn.Module, spec: Model, folder: Path) -> None:
    exact = {name: value.clone() for name, value in model.state_dict().items()}
    model.to(DTYPES[spec.hf])
    assert all(torch.equal(value.float(), exact[name]) for name, value in model.state_dict().items())
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def make(spec: Model, directory: Path) -> None:
    text = "Text" if spec.kind == "Gemma3" else ""
    config = getattr(transformers, f"{spec.kind}{text}Config")(**{**SHAPE, **spec.config})
    config._attn_implementation = "eager"
    model = getattr(transformers, f"{spec.kind}ForCausalLM")(config).float().eval()
    fill(model, spec)
    tensors = golden(model, spec)
    spread = ", ".join(f"{name} {value.std():.2f}" for name, value in tensors.items() if name != "input_ids")
    save_file(tensors, directory / f"{spec.name}.golden.safetensors")
    if spec.gguf:
        write_gguf(model, spec, directory / f"{spec.name}.gguf")
    write_hugging_face(model, spec, directory / spec.name)
    print(f"{spec.name}: spread {spread}")


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "language_models"
    directory.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    for spec in MODELS:
        make(spec, directory)


if __name__ == "__main__":
    main()
