"""The shell scripts of the tree: they parse, and shellcheck finds nothing."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPTS = [ROOT / "run", ROOT / "test", ROOT / ".ci" / "run", *sorted(ROOT.glob("tools/*.sh")),
           *sorted(ROOT.glob("bench/*.sh"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_shellcheck_is_clean(script):
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    found = subprocess.run(["shellcheck", "-x", script], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == "" and found.returncode == 0


@pytest.mark.parametrize("argument", ["--nonsense", "--port=1", "now"])
@pytest.mark.parametrize("script", ["run", "test"])
def test_an_unknown_argument_is_refused_at_once(script, argument):
    told = subprocess.run([ROOT / script, argument], capture_output=True, text=True, timeout=20)
    assert told.returncode != 0
    assert argument in told.stderr and "usage" in told.stderr
