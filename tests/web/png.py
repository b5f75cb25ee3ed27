"""PNG files for tests: made from a seed, with the text chunks pictures carry, and read back. Nothing but zlib."""
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_png(width, height, seed, texts=None):
    """Diagonal stripes whose colours come from the seed: two seeds give two pictures one can tell apart."""
    colours = [bytes(((seed * 7919 + i * (37 + k * 11)) % 256) for k in range(3)) for i in range(64)]
    period = b"".join(colour * 8 for colour in colours)
    line = period * (width * 3 // len(period) + 2)
    rows = b"".join(b"\0" + line[3 * (y % 512):3 * (y % 512) + 3 * width] for y in range(height))
    out = SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    for key, text in (texts or {}).items():
        out += _chunk(b"tEXt", key.encode() + b"\0" + text.encode("latin-1"))
    return out + _chunk(b"IDAT", zlib.compress(rows, 1)) + _chunk(b"IEND", b"")


def png_size(data):
    assert data.startswith(SIGNATURE), data[:16]
    return struct.unpack(">II", data[16:24])


def png_texts(data):
    """The tEXt chunks by their keyword."""
    assert data.startswith(SIGNATURE), data[:16]
    texts, at = {}, len(SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"tEXt":
            key, _, text = data[at + 8:at + 8 + length].partition(b"\0")
            texts[key.decode()] = text.decode("latin-1")
        at += 12 + length
    return texts
