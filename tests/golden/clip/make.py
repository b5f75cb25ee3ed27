"""Prompts as ComfyUI's own tokenizers for SDXL cut them, and texts as transformers' CLIPTokenizer encodes them.

    python tests/golden/clip/make.py PATH_OF_COMFYUI     (torch, transformers and safetensors installed)

ComfyUI should be of 2026: before, only a space or a line end could stand before "embedding:", and it vanished.

prompts.jsonl: {"p": prompt, "c": [chunk, ...]}; a chunk is the list of its runs [word, weight, [ids]] from start to end
without the padding; row r of the n-th embedding of NAMES is the id -(100 n + r + 1). CLIP-G's chunks must differ in
nothing but the padding, which the script checks.
texts.jsonl: {"t": text, "i": [ids without start and end]}, a sample of tests/oracle/tokenizer_texts.py.
"""
import json
import pathlib
import random
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "oracle"))
from tokenizer_texts import texts  # noqa: E402

NAMES = {"style": 3, "one": 1, "wide": 12, "sub/deep": 2, "long": 80}

SENTENCES = [
    "a photo of an astronaut riding a horse on mars", "masterpiece, best quality, highly detailed", "", " ", "\n", ",",
    "portrait of a woman, 85mm f/1.4, bokeh, golden hour, film grain", "a cat", "Cats & dogs; rain: 100% pure!",
    "ultra-realistic 8k UHD render of a cyberpunk city at night, neon lights, rain, reflections, volumetric fog",
    "café, naïve, Übergröße, Straße, 東京の夜, Москва зимой, 🐱🚀", "it's the artist's studio, they're painting, don't",
    "supercalifragilisticexpialidocious antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "a\tb\nc  d   e", "<lora:x:1> <|endoftext|> <|startoftext|> end", "&amp; &lt;b&gt; html &quot;text&quot;",
]
FIXED = [
    "(a)", "((a))", "(((a cat)))", "(a:1.2)", "((a:1.2))", "((a):1.2)", "(a:1.2) b (c:0.5)", "a (b (c (d)))", "(a:0)",
    "foo ((((lol (cat:666) attack:100)))) baz", "foo ((((lol (cat:666) attack):100))) baz", "(a:b)", "(a:)", "(:1.2)",
    "(a:1.2:1.3)", "(a: 1.5 )", "(a:1e-1)", "(a:.5)", "(a:5.)", "(a:-1)", "(a:+1.5)", "(a:1_0.5)", "(a:1__0)", "(a:0x10)",
    "(a:1,5)", "a)", "a))b(c)", ")(", ")(a)(b)", "(a", "((a)", "(a)(b)", "()", "(())", "a()b", "( )", "(a)(", "\\(a\\)",
    "\\(a:1.2\\)", "(\\(a\\):1.3)", "(a\\))", "\\\\(a)", "\\", "(a\\:1.2)", "[a]", "[a:1.2]", "[[a]]", "{a|b}", "(a|b:1.1)",
    "(embedding:one:1.2)", "embedding:one", "embedding:style", "embedding:wide", "embedding:long", "a embedding:one b",
    "aembedding:one", "a, embedding:style, b", "embedding:one,", "embedding:one, embedding:style", ",embedding:one",
    "embedding:,one,", "embedding:nothing", "a embedding:nothing b", "embedding:nothing, b", "(a embedding:style b:0.8)",
    "embedding:sub/deep x", "embedding:one\nx", "x\nembedding:one", "embedding:one embedding:one", "embedding:style\n\n",
    "a embedding:one:0.5", "(embedding:one)(embedding:style:0.3)", "\u00a0embedding:one", "x\u00a0embedding:one\u3000y",
    "embedding:../one", "Embedding:one", "embedding: one", "embedding:one.safetensors", "embedding:one<lora:x> y", "embedding:style[b], c", "embedding:one<", "x " * 72 + "embedding:style",
    "x " * 74 + "embedding:one", "x " * 75 + "embedding:one", "embedding:long (y:1.1) " + "z " * 20,
]


def prompts():
    rng = random.Random(11)
    out = SENTENCES + FIXED
    words = [w for s in SENTENCES for w in s.split()] + ["antidisestablishmentarianism", "pneumonoultramicroscopic"]
    for n in (1, 7, 8, 9, 67, 68, 69, 73, 74, 75, 76, 77, 100, 149, 150, 151, 152):
        out.append("a " * n)
        out.append("a " * max(n - 7, 0) + "(b c d e f g h:1.5)")
        out.append("a " * max(n - 4, 0) + "(b c d e f g h i:1.5) (j)")

    def piece(depth):
        kind = rng.randrange(12)
        if kind < 5 or depth > 4:
            return " ".join(rng.choice(words) for _ in range(rng.randrange(1, 5)))
        if kind < 8:
            return f"({piece(depth + 1)})"
        if kind < 10:
            return f"({piece(depth + 1)}:{rng.choice([0.3, 0.85, 1, 1.05, 1.1, 1.25, 2])})"
        if kind == 10:
            return rng.choice(["(", ")", "\\(", "\\)", ":", "\\", ",", "\n", "  "]) + piece(depth + 1)
        return "embedding:" + rng.choice([*NAMES][:3] + ["none"]) + rng.choice(["", ",", " "])

    while len(out) < 330:
        out.append(rng.choice([" ", ", ", ""]).join(piece(0) for _ in range(rng.randrange(1, 4))))
    return out


def runs(chunk, vectors, pad):
    last = max(i for i, (token, _, _) in enumerate(chunk) if isinstance(token, int) and token == 49407 and
               all(isinstance(t, int) and t == pad for t, _, _ in chunk[i + 1:]))
    if pad == 49407:
        last = min(i for i in range(len(chunk)) if all(t[1:] == (1.0, 0) and isinstance(t[0], int) and t[0] == pad for t in chunk[i:]))
    out = []
    for token, weight, word in chunk[:last + 1]:
        name = token if isinstance(token, int) else vectors[round(float(token[0]))]
        if out and out[-1][0] == word and out[-1][1] == weight:
            out[-1][2].append(name)
        else:
            out.append([word, weight, [name]])
    return out


def main():
    sys.argv, comfyui = ["make.py", "--cpu"], sys.argv[1]
    sys.path.insert(0, comfyui)
    import comfy.options
    comfy.options.enable_args_parsing()
    import safetensors.torch
    import torch
    from comfy.sdxl_clip import SDXLTokenizer

    vectors, number = {}, 0
    with tempfile.TemporaryDirectory() as folder:
        for n, (name, rows) in enumerate(NAMES.items()):
            tables = {}
            for key, width in (("clip_l", 768), ("clip_g", 1280)):
                tables[key] = torch.zeros(rows, width)
                tables[key][:, 0] = torch.arange(rows) + number
            for row in range(rows):
                vectors[number + row] = -(100 * n + row + 1)
            number += rows
            path = pathlib.Path(folder, name + ".safetensors")
            path.parent.mkdir(exist_ok=True)
            safetensors.torch.save_file(tables, str(path))
        tokenizer = SDXLTokenizer(embedding_directory=folder)
        with open(HERE / "prompts.jsonl", "w", encoding="ascii") as file:
            for prompt in prompts():
                cut = tokenizer.tokenize_with_weights(prompt, return_word_ids=True)
                left = [runs(c, vectors, 49407) for c in cut["l"]]
                assert left == [runs(c, vectors, 0) for c in cut["g"]], prompt
                assert all(len(c) == 77 for c in cut["l"] + cut["g"])
                file.write(json.dumps({"p": prompt, "c": left}, separators=(",", ":")) + "\n")
    encode = tokenizer.clip_l.tokenizer
    with open(HERE / "texts.jsonl", "w", encoding="ascii") as file:
        for text in [t for t in texts() if len(t) < 60][::14]:
            file.write(json.dumps({"t": text, "i": encode(text)["input_ids"][1:-1]}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
