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


@pytest.mark.parametrize("script, argument", [("tools/format.sh", "--nonsense"), ("tools/format.sh", "none.cpp"),
                                              ("tools/tidy.sh", "src/nothing")])
def test_a_check_refuses_what_is_not_there(script, argument):
    told = subprocess.run([ROOT / script, argument], capture_output=True, text=True, timeout=20)
    assert told.returncode == 1 and argument in told.stderr


def test_format_names_the_files_that_differ(tmp_path):
    if not any(shutil.which(f"clang-format-{release}") for release in range(16, 20)):
        pytest.skip("clang-format is not installed")
    good, bad = tmp_path / "good.cpp", tmp_path / "bad.cpp"
    (tmp_path / ".clang-format").write_text((ROOT / ".clang-format").read_text())
    good.write_text("int one() { return 1; }\n")
    bad.write_text("int one( ){return 1 ;}\n")

    def check():
        command = [ROOT / "tools/format.sh", "--check", good, bad]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    differing = check()
    assert differing.returncode == 1 and differing.stdout == f"{bad}\n"
    assert bad.read_text() == "int one( ){return 1 ;}\n"
    assert subprocess.run([ROOT / "tools/format.sh", bad]).returncode == 0
    assert bad.read_text() == good.read_text() and check().returncode == 0
