"""Hearth's latents and pictures against ComfyUI's.

    python compare_workflows.py --hearth BIN [--csv FILE] FOLDER REFERENCE OUT [NAME...]

FOLDER is what workflow_cases.py filled, REFERENCE what run_comfy.py wrote from it; Hearth's own results go to OUT.
Prints the relative error of final latents (at most 1e-3) and the PSNR of pictures (above 50 dB); how far latents and
pixels spread shows that there is something to compare. Hearth's seconds are those of a whole program, loading
included; ComfyUI keeps what it loaded. Needs numpy and pillow.
"""
import argparse
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import time

import numpy as np
from PIL import Image

WORST_ERROR, LEAST_PSNR = 1e-3, 50.0


def read_latent(path):
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    entry = json.loads(data[8:8 + length])["latent_tensor"]
    assert entry["dtype"] == "F32", entry
    begin, end = (8 + length + offset for offset in entry["data_offsets"])
    return np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"]).astype(np.float64)


def relative_error(got, want):
    return math.inf if got.shape != want.shape or not np.isfinite(got).all() else (
        np.linalg.norm(got - want) / np.linalg.norm(want))


def psnr(got, want):
    got, want = (np.asarray(Image.open(path).convert("RGB"), np.float64) for path in (got, want))
    error = np.mean((got - want) ** 2) if got.shape == want.shape else math.inf
    return math.inf if error == 0 else 10 * math.log10(255**2 / error) if error < math.inf else 0.0


def run_hearth(binary, folder, out, workflow, environment=None):
    """Runs one workflow, its files in OUT; returns the seconds it took."""
    folder, out = pathlib.Path(folder).resolve(), pathlib.Path(out).resolve()
    for old in out.glob(pathlib.Path(workflow).stem + "_0*"):
        old.unlink()
    places = {"MODELS": folder / "models", "INPUT": folder / "input", "OUTPUT": out, "TEMP": out / "temp",
              "USER": out / "user"}
    began = time.monotonic()
    done = subprocess.run([binary, "workflow", "run", "-q", workflow], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env={**os.environ, **(environment or {}), **{
                              f"HEARTH_PICTURES_{name}_DIR": str(path) for name, path in places.items()}})
    if done.returncode != 0:
        raise RuntimeError(f"{workflow}: exit {done.returncode}\n{done.stdout}")
    return time.monotonic() - began


def latent(folder, name):
    """The one latent a workflow saved; its number depends on what was saved first."""
    found = sorted(pathlib.Path(folder).glob(f"{name}_0*_.latent"))
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} latents of {name} in {folder}, wanted 1")
    return found[0]


def pictures(folder, name):
    return sorted(pathlib.Path(folder).glob(f"{name}_0*_.png"))


def pixels_of(paths):
    return np.stack([np.asarray(Image.open(path).convert("RGB"), np.float64) for path in paths])


def compare(binary, folder, reference, out, name):
    """One row of the table."""
    seconds = run_hearth(binary, folder, out, pathlib.Path(folder) / "workflows" / f"{name}.json")
    theirs = read_latent(latent(reference, name))
    error = relative_error(read_latent(latent(out, name)), theirs)
    made, wanted = pictures(out, name), pictures(reference, name)
    assert wanted and len(made) == len(wanted), f"{len(made)} pictures of {name}, wanted {len(wanted)}"
    timed = pathlib.Path(reference) / f"{name}.seconds"
    return {"workflow": name, "relative_error": error, "psnr_db": min(psnr(a, b) for a, b in zip(made, wanted)),
            "latent_spread": theirs.std(), "pixel_spread": pixels_of(wanted).std(), "hearth_seconds": seconds,
            "comfyui_seconds": float(timed.read_text()) if timed.exists() else math.nan}


FORMATS = {"workflow": "{:32}", "relative_error": "{:.2e}", "psnr_db": "{:.1f}", "latent_spread": "{:.3g}",
           "pixel_spread": "{:.3g}", "hearth_seconds": "{:.1f}", "comfyui_seconds": "{:.1f}"}


def show(row, end="\n"):
    print(*(f"{FORMATS[key].format(row[key]):>{len(key)}}" for key in FORMATS), end=end, flush=True)


def write_csv(path, rows):
    lines = [",".join(FORMATS)] + [",".join(FORMATS[key].format(row[key]).strip() for key in FORMATS) for row in rows]
    pathlib.Path(path).write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hearth", required=True, help="the hearth program")
    parser.add_argument("--csv", help="the table as a file")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("reference", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="*", help="workflows (default: all)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    failed, rows = 0, []
    print(f"{'workflow':32}", *list(FORMATS)[1:])
    for path in sorted((options.folder / "workflows").glob("*.json")):
        if options.names and path.stem not in options.names:
            continue
        try:
            rows.append(compare(options.hearth, options.folder, options.reference, options.out, path.stem))
        except (RuntimeError, OSError, AssertionError) as problem:
            failed += 1
            print(f"{path.stem:32} FAILED: {problem}", flush=True)
            continue
        is_good = rows[-1]["relative_error"] <= WORST_ERROR and rows[-1]["psnr_db"] > LEAST_PSNR
        failed += not is_good
        show(rows[-1], "\n" if is_good else "  FAILED\n")
        if options.csv:
            write_csv(options.csv, rows)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
