"""Texts on which tokenizers are compared: many scripts, emoji, marks, code, white space, random code points and bytes.
The same list on every run."""
import inspect
import json
import random
import textwrap
import unicodedata

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.", "I'm sure they'll say we've won; he'd agree it's ours, won't he?",
    "Don't SHOUT: I'M FINE, THEY'RE NOT, we'Ve MIXED'LL", "Übergrößenträger fließen über die Straße, naïve café!",
    "Съешь ещё этих мягких французских булок, да выпей чаю.", "Η γρήγορη καφέ αλεπού πηδάει πάνω από το σκυλί.",
    "敏捷的棕色狐狸跳过了懒狗。今天是2024年3月15日，天气很好！", "素早い茶色の狐がのろまな犬を飛び越える。カタカナ、ひらがな、漢字。",
    "다람쥐 헌 쳇바퀴에 타고파. ㄱㄴㄷ ㅏㅑㅓ", "الثعلب البني السريع يقفز فوق الكلب الكسول، ١٢٣٤٥ مرة.", "השועל החום המהיר קופץ מעל הכלב העצלן",
    "तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है। १२३", "দ্রুত বাদামী শিয়াল অলস কুকুরের উপর লাফ দেয়।", "வேகமான பழுப்பு நரி சோம்பேறி நாயின் மீது தாவுகிறது",
    "สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ ๑๒๓", "ລາວ ພາສາ ໑໒໓", "ဗမာစာ စာသား ၁၂၃", "ភាសាខ្មែរ ១២៣", "ქართული ენა ძალიან ლამაზია", "Հայերեն լեզու",
    "አማርኛ ቋንቋ ፩፪፫", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ", "Tiếng Việt có nhiều dấu thanh: ắ ằ ẳ ẵ ặ", "İstanbul'da ığdır şöyle ĞÜŞİÖÇ", "Dž ǅ ǆ ǈ ﬁ ﬂ ŉ ß ẞ ſ",
    "Zażółć gęślą jaźń", "Příliš žluťoučký kůň", "𝕳𝖊𝖑𝖑𝖔 𝒲𝑜𝓇𝓁𝒹 𝟙𝟚𝟛 ①②③ ⅷ Ⅷ ½ ¾ x² y³ m₂", "𐍈𐌰𐌹 𓀀𓁐 𒀀𒁀 𐐷𐑌",
    "👋🏽 👨‍👩‍👧‍👦 👩🏿‍🚀 🏳️‍🌈 🇩🇪🇺🇳 ❤️‍🔥 1️⃣ #️⃣ ☕︎ 🤷‍♀️", "emoji😀inside😃words😄and🎉more", "e\u0301 a\u030a o\u0308\u0304 n\u0303 Z\u0351\u034a\u0343a\u0300\u0301lgo\u0489",
    "\u1100\u1161\u11a8 \uac01", "ﾊﾛｰﾜｰﾙﾄﾞ ＨＥＬＬＯ ｗｏｒｌｄ １２３", "price: $1,234.56 €99 £5 ¥1000 ₿0.01 100% ±5°C", "3.14159265358979 1e-10 0xDEADBEEF 1_000_000 12345678901234567890",
    "1 12 123 1234 12345 123456 1234567 12345678", "a1b22c333d4444 v1.2.3-rc4 2024-03-15T12:34:56Z", "Hello, world!!! ??? ... --- *** ### $$$ @@@ <<>> {{}} [[]] (())",
    "“curly” ‘quotes’ «guillemets» „low“ – en — em … ellipsis", "http://user:pass@example.com:8080/a/b?c=d&e=f#g mailto:x@y.zz C:\\Windows\\system32", "snake_case camelCase PascalCase SCREAMING_CASE kebab-case XMLHttpRequest iOS",
    "<|im_start|>user<|im_end|> </s> <s> <unk> [INST] <0x0A>", "x=1;y=[i for i in range(10)if i%2==0]", "if (a<b && c>=d || !e) { return *p++ ^ ~q; } // comment",
    "SELECT * FROM t WHERE a='b' AND c<>\"d\";", "\\begin{equation} \\frac{a}{b} \\end{equation}", "<html><body class=\"x\">Text &amp; more</body></html>",
    "\tdef f(self):\n\t\treturn self.x\n", "    indented\n        deeper\n\n\n    back", "line one\r\nline two\r\n\r\nline four\r", "trailing spaces   \nnext   \n\n", "   leading", "\n", " ", "  ", "   ",
    "\t", "\t\t", "\n\n", "\n\n\n", "\r\n", "\r\n\r\n", " \n", "\n ", " \n \n ", "a  b   c    d     e", "a\tb\t\tc", "a\u00a0b\u2003c\u3000d\u200be\u2028f\u2029g\u0085h\u180ei\ufeffj", "\u0000\u0001\u007f\u0080\u009f",
    "", "a", "'", "''", "'s", "'S", "'ſ", "' s", "\"'re\"", "it''s", "...'ll...", "\ufffd", "\ufffd\ufffd", "▁", "▁▁ a▁b ▁c", "Ġ Ċ ĉ Ġhello", "##ing", "A" * 50, "a" * 200, "ab" * 100, " " * 77, "\n" * 33, "=" * 80, "-" * 64 + "\n",
    "9" * 40, "!" * 30, "啊" * 40, "😀" * 20, "\u0301" * 12, "é" * 30, "The\u202ebidi\u202c text\u200f", "soft\u00adhyphen zero\u200bwidth\u200cnon\u200djoiner",
]


def _code_samples():
    source = inspect.getsource(json) + inspect.getsource(textwrap) + inspect.getsource(random)
    lines = source.splitlines(keepends=True)
    return ["".join(lines[i:i + 6]) for i in range(0, len(lines), 29)]


def _random_code_points(rng, length):
    out = []
    planes = [(0x20, 0x7F), (0xA0, 0x250), (0x370, 0x600), (0x600, 0x1200), (0x2000, 0x2C00), (0x3000, 0xA000),
              (0xA000, 0xD7FF), (0xF900, 0xFFFD), (0x10000, 0x11000), (0x1D400, 0x1F9FF), (0x20000, 0x2A000)]
    low, high = rng.choice(planes)
    while len(out) < length:
        if rng.random() < 0.2:
            low, high = rng.choice(planes)
        character = chr(rng.randrange(low, high))
        # Each library knows another version of Unicode: newer code points would compare their tables, not our code.
        if unicodedata.ucd_3_2_0.category(character) == unicodedata.category(character) not in ("Cn", "Cs"):
            out.append(character)
    return "".join(out)


def texts(count=2200, seed=7):
    rng = random.Random(seed)
    out = list(SENTENCES) + _code_samples()
    words = [w for s in SENTENCES for w in s.split()]
    separators = [" ", " ", " ", "  ", "\n", "\t", "", ", ", "\r\n", "'", "-", "_", "\u00a0", "\n\n", " \n"]
    while len(out) < count:
        kind = rng.randrange(6)
        if kind == 0:
            out.append(_random_code_points(rng, rng.randrange(1, 40)))
        elif kind == 1:
            out.append(rng.randbytes(rng.randrange(1, 40)).decode("utf-8", "replace"))
        elif kind == 2:
            out.append("".join(rng.choice(words) + rng.choice(separators) for _ in range(rng.randrange(1, 12))))
        elif kind == 3:
            out.append("".join(rng.choice(" \n\t\r.,'!?0123456789abcABC-_/\\<>(){}") for _ in range(rng.randrange(1, 60))))
        elif kind == 4:
            a, b = rng.choice(SENTENCES), rng.choice(SENTENCES)
            out.append(a[rng.randrange(len(a) + 1):] + b[:rng.randrange(len(b) + 1)])
        else:
            out.append("".join(rng.choice(["0", "7", "12", "345", " ", ".", ",", "٣", "²", "Ⅷ", "é", "X", "\n"])
                               for _ in range(rng.randrange(1, 30))))
    return out


def corpus():
    """Text to train small vocabularies on."""
    return SENTENCES * 3 + [inspect.getsource(m) for m in (json, textwrap, random, inspect)]
