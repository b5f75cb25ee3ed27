#!/usr/bin/env python3
"""Asks the server for a picture, keeps it as a file and says where: draw.py HEARTH PORT FILE [PROMPT]

HEARTH is the program; it tells the API key that is configured here, which is shown to nobody. The model is the built-in
one, so that this takes seconds whatever else is installed. Exits 1 when there is no picture, with the server's words.
"""

import base64
import json
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

MODEL = "sprite.safetensors"


def key_of(hearth):
    told = subprocess.run([hearth, "config", "get", "server.api_key"], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def draw(hearth, port, prompt):
    """The bytes of a PNG."""
    headers = {"Content-Type": "application/json"}
    key = key_of(hearth)
    if key:
        headers["Authorization"] = f"Bearer {key}"
    body = {"prompt": prompt, "model": MODEL, "seed": 1}
    url = f"http://127.0.0.1:{port}/v1/images/generations"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=300) as answer:
        return base64.b64decode(json.load(answer)["data"][0]["b64_json"])


def words_of(error):
    text = error.read().decode(errors="replace")
    try:
        return json.loads(text)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return text or str(error)


def main(hearth, port, file, prompt="a red apple"):
    print(f"\n> {prompt}")
    begun = time.monotonic()
    try:
        picture = draw(hearth, port, prompt)
    except urllib.error.HTTPError as error:
        print(f"error: {words_of(error)}", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, IndexError, subprocess.CalledProcessError) as error:
        print(f"error: no picture came: {error}", file=sys.stderr)
        return 1
    if not picture.startswith(b"\x89PNG"):
        print("error: what came is no PNG", file=sys.stderr)
        return 1
    file = pathlib.Path(file).resolve()
    file.write_bytes(picture)
    print(f"{file}\n-- drawn in {time.monotonic() - begun:.1f} s; more at http://127.0.0.1:{port}/")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
