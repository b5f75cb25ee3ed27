"""Small picture files of every kind and what Pillow reads in them, for src/formats/image.

    python tests/golden/image/make.py     (Pillow and numpy installed)

pictures.json: file name -> {"size": [width, height], "channels", "samples": hex, "texts": [[key, text], ...]}.
"""
import io
import json
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

HERE = pathlib.Path(__file__).parent
WIDTH, HEIGHT = 13, 9


def scene(channels, bits=8):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    top = 2**bits - 1
    planes = [x * top // (WIDTH - 1), y * top // (HEIGHT - 1), (x + y) * top // (WIDTH + HEIGHT - 2), (x * y * 7) % (top + 1)]
    return np.stack(planes[:channels], -1).astype(np.uint16 if bits > 8 else np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(array, colour, bits, interlaced=False, extra=b""):
    """A PNG written by hand, for what Pillow does not write."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)] if interlaced else [(0, 0, 1, 1)]
    data = b""
    for x0, y0, dx, dy in passes:
        part = array[y0::dy, x0::dx]
        for row in part if part.size else []:
            if bits < 8:
                text = "".join(f"{v:0{bits}b}" for v in row.reshape(-1))
                text += "0" * (-len(text) % 8)
                data += b"\0" + bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8))
            else:
                data += b"\0" + row.astype(">u2" if bits == 16 else ">u1").tobytes()
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, colour, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def files():
    rgb, rgba = Image.fromarray(scene(3)), Image.fromarray(scene(4))
    out = {"rgb.png": saved(rgb, "PNG"), "rgba.png": saved(rgba, "PNG"), "grey.png": saved(rgb.convert("L"), "PNG"),
           "grey_alpha.png": saved(rgba.convert("LA"), "PNG"), "one_bit.png": saved(rgb.convert("1"), "PNG"),
           "palette.png": saved(rgb.quantize(16), "PNG")}
    clear = rgb.quantize(5)
    out["palette_clear.png"] = saved(clear, "PNG", transparency=bytes([0, 40, 255, 128]))
    out["grey16.png"] = raw_png(scene(1, 16), 0, 16)
    out["rgb16.png"] = raw_png(scene(3, 16), 2, 16)
    out["rgba16_interlaced.png"] = raw_png(scene(4, 16), 6, 16, True)
    out["rgb_interlaced.png"] = raw_png(scene(3), 2, 8, True)
    out["grey2.png"] = raw_png(scene(1) >> 6, 0, 2)
    out["grey4_interlaced.png"] = raw_png(scene(1) >> 4, 0, 4, True)
    out["rgb_one_colour_clear.png"] = raw_png(scene(3), 2, 8, extra=chunk(b"tRNS", struct.pack(">HHH", 0, 0, 0)))
    texts = PngImagePlugin.PngInfo()
    texts.add_text("prompt", '{"3": {"class_type": "KSampler"}}')
    texts.add_text("workflow", '{"nodes": []}', zip=True)
    texts.add_text("Comment", "caf\u00e9")
    texts.add_itxt("Title", "\u6771\u4eac", "ja", "Titel")
    texts.add_itxt("Long", "\u00fc" * 300, zip=True)
    out["texts.png"] = saved(rgb.convert("L"), "PNG", pnginfo=texts)
    exif = Image.Exif()
    for turn in range(1, 9):
        exif[0x0112] = turn
        out[f"turned{turn}.jpg"] = saved(rgb, "JPEG", quality=95, exif=exif)
    exif[0x0112] = 6
    out["turned6.png"] = saved(rgb, "PNG", exif=exif)
    out["turned6.webp"] = saved(rgb, "WEBP", lossless=True, exif=exif)
    out["grey.jpg"] = saved(rgb.convert("L"), "JPEG", quality=90)
    out["progressive.jpg"] = saved(rgb, "JPEG", quality=80, progressive=True)
    out["cmyk.jpg"] = saved(rgb.convert("CMYK"), "JPEG", quality=95)
    out["lossy.webp"] = saved(rgb, "WEBP", quality=80)
    out["lossless.webp"] = saved(rgb, "WEBP", lossless=True)
    out["alpha.webp"] = saved(rgba, "WEBP", lossless=True, exact=True)
    out["animated.webp"] = saved(rgb, "WEBP", save_all=True, append_images=[rgb.transpose(Image.Transpose.ROTATE_180)])
    return out


def read(data):
    image = Image.open(io.BytesIO(data))
    texts = [[k, str(v)] for k, v in getattr(image, "text", {}).items()]
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    image = ImageOps.exif_transpose(image)
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("1", "CMYK"):
        image = image.convert({"1": "L", "CMYK": "RGB"}[image.mode])
    samples = np.asarray(image)
    return {"size": image.size, "channels": len(image.getbands()), "samples": samples.tobytes().hex(), "texts": texts}


def main():
    wanted = {}
    for name, data in files().items():
        (HERE / name).write_bytes(data)
        if name != "animated.webp":
            wanted[name] = read(data)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in wanted.items())
    (HERE / "pictures.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
