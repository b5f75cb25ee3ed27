"""A GGUF model that loads for seconds: a few layers of very wide zeros, sparse on the disk."""
import gguf

DIM, WIDTH, LAYERS, VOCAB = 1024, 131072, 8, 300


def write_slow_model(path, layers=LAYERS):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(DIM)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(8)
    writer.add_head_count_kv(8)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(["a", "b", "ab", *[f"<{i}>" for i in range(VOCAB - 3)]])
    writer.add_token_types([1] * VOCAB)
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(1)
    half, whole = gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.F32

    def add(name, shape, kind):
        size = 2 if kind == half else 4
        for n in shape:
            size *= n
        writer.add_tensor_info(name, shape, None, size, raw_dtype=kind)

    add("token_embd.weight", (VOCAB, DIM), half)
    add("output_norm.weight", (DIM,), whole)
    for layer in range(layers):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{part}.weight", (DIM, DIM), half)
        for part in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{part}.weight", (DIM,), whole)
        add(f"blk.{layer}.ffn_gate.weight", (WIDTH, DIM), half)
        add(f"blk.{layer}.ffn_up.weight", (WIDTH, DIM), half)
        add(f"blk.{layer}.ffn_down.weight", (DIM, WIDTH), half)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    tensors = writer.tensors[0]
    with open(path, "r+b") as file:
        end = -(-file.seek(0, 2) // 32) * 32
        file.truncate(end + sum(-(-tensor.nbytes // 32) * 32 for tensor in tensors.values()))
    return path
