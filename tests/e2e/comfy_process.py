"""Runs `hearth serve` with a picture model of a few megabytes, in folders of its own."""
import os
import subprocess

from comfy_client import ComfyClient, picture_graph
from hearth_process import ROOT, Hearth, program

CHECKPOINT = "sd1.safetensors"
ENDLESS = 9999  # steps of a picture that is there for as long as a test looks; whoever asks for it cancels it


def write_checkpoint(folder):
    """A random SD 1 model with the real vocabulary; of 64 pixels asked its decoder makes 16."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([program().parent / "tiny_picture", "sd1", folder / CHECKPOINT], check=True, capture_output=True,
                   env={**os.environ, "HEARTH_SOURCE_DIR": str(ROOT)})


def graph(steps=2, side=64, **sampler):
    return picture_graph(CHECKPOINT, side, steps=steps, **{"seed": 1, **sampler})


class ComfyHearth(ComfyClient, Hearth):
    """`root` holds models, input, output, temp and user."""

    def __init__(self, root, *lines, flags=(), env=None):
        self.root = root
        if not (root / "models" / "checkpoints" / CHECKPOINT).exists():
            write_checkpoint(root / "models" / "checkpoints")
        folders = "".join(f'{name}_dir = "{root / name}"\n' for name in ("models", "input", "output", "temp", "user"))
        super().__init__(root / "run", "[pictures]\n" + folders + "\n".join(lines) + "\n", *flags, env=env)

    def cancel_everything(self):
        """Empties the queue and comes back when nothing runs."""
        self.request("POST", "/queue", {"clear": True})
        while self.get("/prompt")["exec_info"]["queue_remaining"]:
            self.request("POST", "/interrupt", "")
