"""Starts build/<preset>/bin/fake_server for a test and stops it. HEARTH_BIN names the folder of the programs."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def program(name):
    chosen = os.environ.get("HEARTH_BIN")
    folders = [pathlib.Path(chosen)] if chosen else sorted(ROOT.glob("build/*/bin"))
    found = [folder / name for folder in folders if (folder / name).exists()]
    if not found:
        raise FileNotFoundError(f"{name} is not built: build it, or set HEARTH_BIN to the folder that holds it")
    return max(found, key=lambda path: path.stat().st_mtime)


class FakeServer:
    def __init__(self, *flags):
        self.process = subprocess.Popen([program("fake_server"), *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        self.process.stdin.close()
        return self.process.wait(timeout=20)
