"""hearth chat as people use it: in a terminal, with Ctrl-C, and on after a turn that does not fit."""
import os
import pty
import re
import select
import subprocess
import time

import pytest

from hearth_process import environment, model_file, profile, program, run


class Terminal:
    """hearth chat behind a pseudo-terminal, of which it is the foreground job: Ctrl-C reaches it as a signal."""

    def __init__(self, folder, *words):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([program(), "chat", "--device", "cpu", *words], cwd=folder,
                                        env=environment(folder), stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True, preexec_fn=lambda: os.close(os.open(
                                            os.ttyname(slave), os.O_RDWR)))
        os.close(slave)
        self.shown = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def type(self, text):
        os.write(self.master, text.encode())

    def read_until(self, pattern, seconds=60):
        """What came since the last call up to and with the match."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.shown)):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {pattern!r} in {self.shown!r}"
            self.shown += os.read(self.master, 4096).decode(errors="replace")
        self.shown, before = self.shown[found.end():], self.shown[:found.end()]
        return before


@pytest.fixture()
def folder(tmp_path):
    (tmp_path / "hearth.toml").write_text(profile("tiny", model_file("smollm2")))
    return tmp_path


def test_ctrl_c_stops_the_answer_and_the_next_line_is_answered(folder):
    with Terminal(folder, "--temperature", "0") as chat:
        chat.read_until("tiny is ready.*\n> ")
        chat.type("Tell me a very long story about a mountain and its ten villages.\n")
        chat.read_until("\n")  # the terminal's echo
        chat.read_until(r"\S+\s+\S+")  # the answer is under way
        chat.type("\x03")
        assert "^C" in chat.read_until("\n> ")  # echoed before the prompt: it met a running answer
        assert chat.process.poll() is None
        chat.type("\x03")  # at the prompt: only a new prompt
        chat.read_until("\n> ")
        chat.type("Say hello.\n")
        chat.read_until("\n")
        assert re.search(r"\w+", chat.read_until(r"\w[^>]*\n> "))
        chat.type("/exit\n")
        assert chat.process.wait(timeout=20) == 0


def test_a_turn_beyond_the_context_is_told_and_forgotten(folder):
    (folder / "hearth.toml").write_text(profile("tiny", model_file("smollm2"), "context = 128"))
    long = "again and again " * 60
    with Terminal(folder, "--temperature", "0", "--max-tokens", "8") as chat:
        chat.read_until("ready.*\n> ")
        chat.type(long + "\n")
        told = chat.read_until("/clear.*\n> ")
        assert "context of 128" in told
        chat.type("Say hello.\n")
        chat.read_until("hello\\.\r?\n")
        assert "context" not in chat.read_until(r"\w[^>]*\n> ")
        chat.type("/clear\n")
        chat.read_until("> ")
        chat.type("\x04")
        assert chat.process.wait(timeout=20) == 0


def test_piped_turns_go_on_behind_one_that_does_not_fit(folder):
    (folder / "hearth.toml").write_text(profile("tiny", model_file("smollm2"), "context = 128"))
    words = ["chat", "--temperature", "0", "--max-tokens", "8"]
    alone = run(folder, *words, stdin="Say hello.\n")
    assert alone.returncode == 0 and alone.stdout.strip(), alone
    done = run(folder, *words, stdin="again and again " * 60 + "\nSay hello.\n")
    assert "context of 128" in done.stderr and "/clear" in done.stderr
    assert done.stdout == alone.stdout  # the long turn left nothing behind
    assert done.returncode == 1


def test_clear_begins_anew(folder):
    words = ["chat", "--temperature", "0", "--max-tokens", "8"]
    once = run(folder, *words, stdin="Say hello.\n").stdout
    cleared = run(folder, *words, stdin="Say hello.\n/clear\nSay hello.\n").stdout
    assert cleared == once + once
