"""Our tokenizers against PyPI `tokenizers`: the same ids and the same text back, over more than 2,000 strings.

    HEARTH_BIN=build/release/bin pytest tests/oracle/tokenizer_oracle.py

HEARTH_TEST_SMOLLM2 and HEARTH_TEST_GEMMA3 name real GGUF files whose vocabularies are compared too.
"""
import base64
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
from unicodedata import normalize

import gguf
import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from tokenizer_texts import corpus, texts  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXTS = texts()
MARK = "\u2581"


class Probe:
    """The program tests/tools/text_probe.cpp, kept running; one JSON line per question."""

    def __init__(self):
        folder = pathlib.Path(os.environ.get("HEARTH_BIN", ROOT / "build/release/bin"))
        self.process = subprocess.Popen([ROOT / folder / "text_probe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        assert "error" not in reply, reply
        return reply


@pytest.fixture(scope="module")
def probe():
    return Probe()


# -- comparison ---------------------------------------------------------------------------------------------------


def compare(probe, name, reference, samples=TEXTS, add_special=True, parse_special=False, decode=True):
    """Encodes and decodes every sample with both; shows the first differences."""
    reference.encode_special_tokens = not parse_special
    ours = probe.ask(op="encode", name=name, texts=samples, add_special=add_special, parse_special=parse_special)["ids"]
    theirs = [e.ids for e in reference.encode_batch(samples, add_special_tokens=add_special)]
    wrong = [(t, a, b) for t, a, b in zip(samples, theirs, ours) if a != b]
    shown = "\n".join(f"{t!r}\n  want {[reference.id_to_token(i) for i in a]}\n  got  {[reference.id_to_token(i) for i in b]}"
                      for t, a, b in wrong[:5])
    assert not wrong, f"{name}: {len(wrong)} of {len(samples)} encode differently\n{shown}"
    if not decode:
        return
    reply = probe.ask(op="decode", name=name, ids=theirs, skip_special=True)
    assert reply["texts"] == reply["streamed"]
    want = reference.decode_batch(theirs, skip_special_tokens=True)
    wrong = [(t, a, b) for t, a, b in zip(samples, want, reply["texts"]) if a != b]
    assert not wrong, f"{name}: {len(wrong)} decode differently, first {wrong[:3]!r}"


def load_json(probe, name, reference, config=None):
    return probe.ask(op="load", name=name, json=json.loads(reference.to_str()), config=config or {})


# -- byte-level BPE of the model families -------------------------------------------------------------------------

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
KIMI = "|".join([
    r"[\p{Han}]+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
             r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BAILING = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+")
SEED = (CONTRACTIONS + "|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")
EXAONE_MOE = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}"
              r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+")
JAIS2 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)"
         r"|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}")
CJK = "[一-龥\u0800-一가-\ud7ff]+"
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def splits(*patterns):
    return [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns] + [BYTES]


# name of the family in GGUF files: (pre-tokenizer steps of its tokenizer.json, ignore_merges, normalizer)
FAMILIES = {
    "gpt-2": ([GPT2], False, None),
    "smollm": ([pre_tokenizers.Digits(True), GPT2], False, None),
    "starcoder": ([pre_tokenizers.Digits(True), GPT2], False, None),
    "command-r": ([pre_tokenizers.Digits(True), GPT2], False, normalizers.NFC()),
    "llama-bpe": (splits(LLAMA3), True, None),
    "chatglm-bpe": (splits(LLAMA3), False, None),
    "qwen2": (splits(QWEN2), False, normalizers.NFC()),
    "qwen35": (splits(QWEN35), False, normalizers.NFC()),
    "tekken": (splits(TEKKEN), True, None),
    "gpt-4o": (splits(GPT4O), False, None),
    "tiny_aya": (splits(r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O), False, None),
    "kimi-k2": (splits(KIMI), False, None),
    "deepseek-v3": (splits(r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3), False, None),
    "deepseek-coder": (splits("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK)[:-1] + [pre_tokenizers.Digits(True), BYTES], False, None),
    "bailingmoe": (splits(BAILING), False, None),
    "seed-coder": (splits(SEED), False, None),
    "exaone-moe": (splits(EXAONE_MOE), False, None),
    "jais-2": (splits(JAIS2), False, None),
    "minicpm5": (splits(r"\p{N}{1,3}", LLAMA3.replace("{1,3}", "+")), True, None),
    "superbpe": (splits(r"\p{N}+", r"(?=(\d{3})+(?!\d))"), False, None),
    "bloom": (splits(r" ?[^(\s|[.,!?…。，、।۔،])]+"), False, None),
    "viking": (splits(r" ?[^(\s|[.,!?…。，、।۔،])]+")[:-1] + [pre_tokenizers.Digits(True), BYTES], False, None),
    "falcon": ([pre_tokenizers.Punctuation("contiguous"), GPT2, pre_tokenizers.Digits(False),
                pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")], False, None),
}


def train_bpe(steps, normalizer, size=3000):
    reference = Tokenizer(models.BPE())
    reference.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if normalizer:
        reference.normalizer = normalizer
    reference.decoder = decoders.ByteLevel()
    reference.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"]))
    reference.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    return reference


def with_model_field(reference, **fields):
    spec = json.loads(reference.to_str())
    spec["model"].update(fields)
    return Tokenizer.from_str(json.dumps(spec))


def gguf_metadata(reference, pre):
    spec = json.loads(reference.to_str())
    vocab = {**spec["model"]["vocab"], **{t["content"]: t["id"] for t in spec["added_tokens"]}}
    tokens = [text for text, _ in sorted(vocab.items(), key=lambda item: item[1])]
    types = [1] * len(tokens)
    for token in spec["added_tokens"]:
        types[token["id"]] = 3 if token["special"] else 4
    merges = [m if isinstance(m, str) else " ".join(m) for m in spec["model"]["merges"]]
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": types, "tokenizer.ggml.merges": merges, "tokenizer.ggml.eos_token_id": 2,
            "tokenizer.ggml.add_bos_token": False}


@pytest.mark.parametrize("family", FAMILIES)
def test_byte_level_family(probe, family):
    steps, ignore_merges, normalizer = FAMILIES[family]
    reference = with_model_field(train_bpe(steps, normalizer), ignore_merges=ignore_merges)
    load_json(probe, "json", reference)
    compare(probe, "json", reference)
    compare(probe, "json", reference, parse_special=True)
    if family == "falcon":
        # Its real file cuts digits after the byte alphabet, where the bytes of many letters look like digits; GGUF
        # readers cut before. Texts in ASCII are the same both ways.
        samples = [t for t in TEXTS if t.isascii()]
    else:
        samples = TEXTS
    probe.ask(op="load", name="gguf", gguf=gguf_metadata(reference, family))
    compare(probe, "gguf", reference, samples)
    compare(probe, "gguf", reference, samples, parse_special=True)


# -- SentencePiece-like tokenizers --------------------------------------------------------------------------------


def train_sentencepiece_bpe(fuse_unknown=True):
    reference = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=fuse_unknown, unk_token="<unk>"))
    reference.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    reference.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    reference.train_from_iterator((line for text in corpus() for line in text.split("\n")), trainers.BpeTrainer(
        vocab_size=3000, show_progress=False, special_tokens=special, limit_alphabet=400, max_token_length=12))
    spec = json.loads(reference.to_str())
    spec["added_tokens"] = spec["added_tokens"][:3]
    spec["post_processor"] = json.loads(processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]).__getstate__())
    return Tokenizer.from_str(json.dumps(spec))


def test_sentencepiece_bpe(probe):
    reference = train_sentencepiece_bpe()
    reply = load_json(probe, "sp", reference, {"bos_token": "<s>", "eos_token": {"content": "</s>"}})
    assert reply["adds_bos"] and reply["bos"] == 1 and reply["eos"] == 2 and reply["ends"] == [2]
    compare(probe, "sp", reference)
    compare(probe, "sp", reference, add_special=False, parse_special=True)


@pytest.mark.parametrize("scheme", ["always", "first", "never"])
@pytest.mark.parametrize("split", [True, False])
def test_metaspace(probe, scheme, split):
    reference = train_sentencepiece_bpe()
    reference.normalizer = normalizers.NFKC()
    reference.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    reference.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme=scheme, split=split)])
    load_json(probe, "meta", reference)
    # The reference's Metaspace decoder sees the first token of a text with its byte tokens already joined.
    compare(probe, "meta", reference, decode=False)
    compare(probe, "meta", reference, parse_special=True, decode=False)


@pytest.mark.parametrize("byte_fallback", [False, True])
def test_unigram(probe, byte_fallback):
    reference = Tokenizer(models.Unigram())
    reference.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    reference.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    reference.decoder = decoders.Metaspace(prepend_scheme="always")
    special = ["<pad>", "</s>", "<unk>"]
    reference.train_from_iterator(corpus(), trainers.UnigramTrainer(vocab_size=2000, show_progress=False,
                                                                    special_tokens=special, unk_token="<unk>"))
    spec = json.loads(reference.to_str())
    if byte_fallback:
        spec["model"]["byte_fallback"] = True
        spec["model"]["vocab"] += [[f"<0x{b:02X}>", -20.0] for b in range(256)]
    reference = Tokenizer.from_str(json.dumps(spec))
    reference.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    load_json(probe, "unigram", reference, {"eos_token": "</s>"})
    # Special tokens typed as plain text: the reference's unigram model takes them for themselves, ours spells them.
    samples = [t for t in TEXTS if not any(name in t for name in special)]
    compare(probe, "unigram", reference, samples, decode=not byte_fallback)
    compare(probe, "unigram", reference, parse_special=True, decode=not byte_fallback)
    typed = probe.ask(op="encode", name="unigram", texts=["a</s>"], add_special=False)["ids"][0]
    assert 1 not in typed and len(typed) > 2


# -- WordPiece, CLIP, and single components -----------------------------------------------------------------------


def test_wordpiece(probe):
    reference = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    reference.normalizer = normalizers.BertNormalizer()
    reference.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    reference.decoder = decoders.WordPiece()
    reference.train_from_iterator(corpus(), trainers.WordPieceTrainer(
        vocab_size=3000, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    reference.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    load_json(probe, "bert", reference)
    compare(probe, "bert", reference)


def test_clip(probe):
    reference = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>", continuing_subword_prefix=""))
    reference.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    reference.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    reference.decoder = decoders.ByteLevel()
    reference.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=3000, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), end_of_word_suffix="</w>",
        special_tokens=["<|startoftext|>", "<|endoftext|>"]))
    reference.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), False, False)
    load_json(probe, "clip", reference)
    compare(probe, "clip", reference)


NORMALIZERS = {
    "nfc": normalizers.NFC(), "nfd": normalizers.NFD(), "nfkc": normalizers.NFKC(), "nfkd": normalizers.NFKD(),
    "lowercase": normalizers.Lowercase(), "strip": normalizers.Strip(), "strip_left": normalizers.Strip(True, False),
    "strip_accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]), "nmt": normalizers.Nmt(),
    "prepend": normalizers.Prepend("x "), "replace": normalizers.Replace("a", "bb"), "byte_level": normalizers.ByteLevel(),
    "replace_regex": normalizers.Replace(Regex(r"\s+|[aeiou]"), "_"), "bert": normalizers.BertNormalizer(lowercase=False),
    "bert_accents": normalizers.BertNormalizer(lowercase=True, strip_accents=False, handle_chinese_chars=False),
}
PRE_TOKENIZERS = {
    "whitespace": pre_tokenizers.Whitespace(), "whitespace_split": pre_tokenizers.WhitespaceSplit(),
    "digits": pre_tokenizers.Digits(False), "digits_each": pre_tokenizers.Digits(True), "bert": pre_tokenizers.BertPreTokenizer(),
    "prefix": pre_tokenizers.ByteLevel(add_prefix_space=True), "delimiter": pre_tokenizers.CharDelimiterSplit("e"),
    **{f"punctuation_{b}": pre_tokenizers.Punctuation(b)
       for b in ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous")},
    **{f"split_{b}_{i}": pre_tokenizers.Split(Regex(r"\d+|\s"), b, invert=i)
       for b in ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous") for i in (False, True)},
    "split_text": pre_tokenizers.Split("th", "merged_with_next"),
    "word_class": pre_tokenizers.Split(Regex(r"\w+"), "isolated"), "line_ends": pre_tokenizers.Split(Regex(r"\s+$|^\w"), "isolated"),
}


@pytest.fixture(scope="module")
def character_bpe():
    """Every character of the texts is in the vocabulary, so nothing hides behind <unk>."""
    reference = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    # Bytes in the alphabet's spelling too, for the components that write it.
    alphabet = sorted({c for t in TEXTS for c in t} | set(pre_tokenizers.ByteLevel.alphabet()))
    reference.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=len(alphabet) + 2500, show_progress=False,
                                                                initial_alphabet=alphabet, special_tokens=["<unk>"],
                                                                max_token_length=8))
    return reference.to_str()


@pytest.mark.parametrize("part", NORMALIZERS)
def test_normalizer(probe, character_bpe, part):
    reference = Tokenizer.from_str(character_bpe)
    reference.normalizer = NORMALIZERS[part]
    load_json(probe, "part", reference)
    compare(probe, "part", reference)


@pytest.mark.parametrize("part", PRE_TOKENIZERS)
def test_pre_tokenizer(probe, character_bpe, part):
    reference = Tokenizer.from_str(character_bpe)
    reference.pre_tokenizer = PRE_TOKENIZERS[part]
    load_json(probe, "part", reference)
    compare(probe, "part", reference)


def double_array(entries):
    """A precompiled charsmap with few entries, laid out by trial and error."""
    replacements, offsets = b"", {}
    for key, value in entries.items():
        offsets[key] = len(replacements)
        replacements += value.encode() + b"\0"
    tree = {}
    for key in entries:
        node = tree
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[0] = offsets[key]
    units = {0: 0}

    def place(node, position, base_of=lambda at: at):
        base = 1
        while any((position ^ base ^ label) in units for label in node) or base >= 1 << 21:
            base += 1
        units[position] |= base << 10 | (1 << 8 if 0 in node else 0)
        for label in node:
            units[position ^ base ^ label] = label if label else 1 << 31 | node[0]
        for label, below in node.items():
            if label:
                place(below, position ^ base ^ label)

    place(tree, 0)
    array = [units.get(i, 0) for i in range((max(units) | 255) + 1)]
    return struct.pack(f"<I{len(array)}I", 4 * len(array), *array) + replacements


def test_precompiled_charsmap(probe, character_bpe):
    blob = double_array({"ﬁ": "fi", "Ａ": "A", "é": "e", "\u0301": "", "\t": " ", "①": "1", "ａ": "a", "e\u0301": "E"})
    reference = Tokenizer.from_str(character_bpe)
    reference.normalizer = normalizers.Precompiled(blob)
    assert base64.b64decode(json.loads(reference.to_str())["normalizer"]["precompiled_charsmap"]) == blob
    load_json(probe, "charsmap", reference)
    compare(probe, "charsmap", reference)


def test_added_token_flags(probe):
    reference = train_bpe([GPT2], normalizers.NFKC())
    reference.add_tokens([AddedToken("[word]", single_word=True, normalized=False), AddedToken("the", single_word=True),
                          AddedToken("<left>", lstrip=True, normalized=False), AddedToken("<right>", rstrip=True),
                          AddedToken("<ａ>", normalized=True)])
    reference.add_special_tokens([AddedToken("<mask>", lstrip=True, rstrip=True), "<|im_start|>long"])
    load_json(probe, "added", reference)
    rng = random.Random(3)
    bits = ["[word]", "the", "other", "<left>", "<right>", "<ａ>", "<a>", "<mask>", "<|im_start|>", "<|im_start|>long", "x", " ",
            "  ", "\n", "é", "_", "<tool_call>", "<", "[", "|", "9"]
    samples = ["".join(rng.choice(bits) for _ in range(rng.randrange(1, 15))) for _ in range(2000)]
    for parse_special in (False, True):
        compare(probe, "added", reference, samples, parse_special=parse_special, decode=False)
        # The reference writes a normalised token back in its normal form, ours as the file spells it.
        compare(probe, "added", reference, [t for t in samples if "a>" not in normalize("NFKC", t)], parse_special=parse_special)


# -- real vocabularies --------------------------------------------------------------------------------------------


def read_metadata(variable):
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"{variable} does not name a GGUF file")
    out = {}
    for key, field in gguf.GGUFReader(path).fields.items():
        if key.startswith("tokenizer."):
            out[key] = field.contents()
    return out


def add_typed(reference, metadata):
    for id, (text, kind) in enumerate(zip(metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"])):
        token = AddedToken(text, normalized=False)
        if kind in (2, 3):
            reference.add_special_tokens([token])
        elif kind == 4:
            reference.add_tokens([token])
        assert reference.token_to_id(text) == id or kind == 1


def test_smollm2(probe):
    metadata = read_metadata("HEARTH_TEST_SMOLLM2")
    vocab = {text: id for id, text in enumerate(metadata["tokenizer.ggml.tokens"])}
    merges = [tuple(line.split(" ")) for line in metadata["tokenizer.ggml.merges"]]
    reference = Tokenizer(models.BPE(vocab, merges))
    reference.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), GPT2])
    reference.decoder = decoders.ByteLevel()
    add_typed(reference, metadata)
    reply = probe.ask(op="load", name="smollm2", gguf=metadata)
    assert reply["ends"] == [0, 2] and reply["seconds"] < 0.5
    for parse_special in (False, True):
        compare(probe, "smollm2", reference, parse_special=parse_special)
    load_json(probe, "smollm2_json", reference)
    compare(probe, "smollm2_json", reference)


def merges_from_scores(tokens, scores, types):
    """What SentencePiece does with scores, as merge rules: all ways to put a token together, best token first."""
    vocab = {t: i for i, (t, k) in enumerate(zip(tokens, types)) if k in (1, 4)}
    merges = []
    for text, id in vocab.items():
        pairs = [(vocab[text[:i]], vocab[text[i:]], text[:i], text[i:]) for i in range(1, len(text))
                 if text[:i] in vocab and text[i:] in vocab]
        merges += [(-scores[id], id, *sorted(pairs)[n][2:]) for n in range(len(pairs))]
    merges.sort(key=lambda m: m[:2])
    return [(a, b) for _, _, a, b in merges]


def test_gemma3(probe):
    metadata = read_metadata("HEARTH_TEST_GEMMA3")
    tokens = metadata["tokenizer.ggml.tokens"]
    vocab = {text: id for id, text in enumerate(tokens)}
    merges = merges_from_scores(tokens, metadata["tokenizer.ggml.scores"], metadata["tokenizer.ggml.token_type"])
    reference = Tokenizer(models.BPE(vocab, merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    reference.normalizer = normalizers.Replace(" ", MARK)
    reference.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    reference.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()])
    reference.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    add_typed(reference, metadata)
    reply = probe.ask(op="load", name="gemma3", gguf=metadata)
    assert reply["adds_bos"] and reply["ends"] == [1, 106] and reply["seconds"] < 1
    for parse_special in (False, True):
        compare(probe, "gemma3", reference, parse_special=parse_special)
    load_json(probe, "gemma3_json", reference)
    compare(probe, "gemma3_json", reference)
