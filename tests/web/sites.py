"""The servers that the page's tests run against, with one face: the stand-in, and, where HEARTH_BIN names the folder of
the programs, `hearth serve` itself with a picture model small enough to draw on any machine."""
import contextlib
import os
import pathlib
import sys
import unittest.mock

from mock_server import MockServer
from tiny_checkpoint import make_checkpoint

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))  # hearth_process

CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"  # the name in the ComfyUI frontend's default workflow


def kinds():
    return ["mock", "hearth"] if os.environ.get("HEARTH_BIN") else ["mock"]


class MockSite:
    is_mock = True
    side = 64  # of a picture for which 64 pixels are asked

    def __init__(self, frontend=None):
        self.server = MockServer(checkpoints=[CHECKPOINT], frontend=frontend)

    def __enter__(self):
        self.server.__enter__()
        self.url = self.server.url
        return self

    def __exit__(self, *error):
        self.server.__exit__(*error)

    @contextlib.contextmanager
    def slow_drawing(self):
        """Inside, a drawing of the yielded number of steps stops after its third step."""
        self.server.pause_at(3)
        try:
            yield 20
        finally:
            self.server.pause_at(None)

    @contextlib.contextmanager
    def slow_answer(self):
        self.server.words_before_pause = 4
        try:
            yield
        finally:
            self.server.words_before_pause = None

    def drop_connections(self):
        self.server.drop_sockets()


class HearthSite:
    is_mock = False
    side = 16  # the tiny model's decoder makes 2 pixels of each of the 8 latent ones

    def __init__(self, folder, frontend=None):
        import hearth_process  # needs the OpenAI client, which only the whole test run has
        self.process = hearth_process
        self.folder = folder
        checkpoints = folder / "pictures" / "checkpoints"
        checkpoints.mkdir(parents=True)
        make_checkpoint(checkpoints / CHECKPOINT)
        self.config = f'[pictures]\nmodels_dir = "{checkpoints.parent}"\n' + "".join(
            f'{name}_dir = "{folder / name}"\n' for name in ("input", "output", "temp", "user"))
        if frontend:
            self.config += f'frontend = "{frontend}"\n'
        if os.environ.get("HEARTH_TEST_SMOLLM2"):
            self.config += hearth_process.profile("smollm2", hearth_process.model_file("smollm2"))

    def __enter__(self):
        self.server = self.process.Hearth(self.folder / "run", self.config)
        self.url = self.server.url
        return self

    def __exit__(self, *_):
        self.server.stop()

    @contextlib.contextmanager
    def slow_drawing(self):
        """Enough steps that a drawing lasts as long as anybody looks; whoever asks for it cancels it."""
        yield 9999

    @contextlib.contextmanager
    def slow_answer(self):
        yield

    def drop_connections(self):
        """Starts the server anew at the same address."""
        self.server.stop()
        with unittest.mock.patch.object(self.process, "free_port", return_value=self.server.port):
            self.server = self.process.Hearth(self.folder / "run", self.config)
