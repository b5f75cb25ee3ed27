"""Starts build/<preset>/bin/fake_comfy in a folder: ComfyUI's API over a scripted backend."""
import os
import signal
import subprocess

from comfy_client import ComfyClient, picture_graph
from fake_server import program

DEFAULT = picture_graph()


class FakeComfy(ComfyClient):
    def __init__(self, root, *flags):
        self.root = root
        self.process = subprocess.Popen([program("fake_comfy"), "--root", str(root), *map(str, flags)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        self.process.stdin.close()
        return self.process.wait(timeout=20)

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=20)
        self.process.stdin.close()
