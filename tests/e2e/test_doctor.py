"""hearth doctor and hearth info on recorded machines: output and exit code as users get them."""
import json
import os
import shutil
import subprocess

import pytest

from hearth_process import ROOT, program, run

GB10 = ROOT / "tests" / "machines" / "gb10"


def test_a_healthy_machine_ends_with_0_and_an_overshoot_with_2(tmp_path):
    healthy = run(tmp_path, "doctor", "--machine", GB10)
    assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    assert "NVIDIA GB10, 121.70 GiB shared by CPU and GPU" in healthy.stdout
    too_much = run(tmp_path, "doctor", "--machine", GB10, "--needs", "110G", "--json")
    assert too_much.returncode == 2
    report = json.loads(too_much.stdout)
    assert [row["id"] for row in report["findings"] if row["verdict"] == "failure"] == ["room"]


def test_explain_knows_an_error_and_says_when_it_does_not(tmp_path):
    known = run(tmp_path, "doctor", "--explain", "ptxas fatal : Value 'sm_121a' is not defined for option 'gpu-name'")
    assert known.returncode == 0 and "triton>=3.6" in known.stdout
    assert run(tmp_path, "doctor", "--explain", "nothing of the kind").returncode == 1


def test_a_fix_script_is_written_and_is_a_shell_script(tmp_path):
    done = run(tmp_path, "doctor", "--machine", GB10, "--needs", "110G", "--fix-script", tmp_path / "fix.sh")
    assert done.returncode == 2
    assert subprocess.run(["sh", "-n", tmp_path / "fix.sh"]).returncode == 0
    assert "# failure (row 25, room)" in (tmp_path / "fix.sh").read_text()


def test_the_small_program_says_of_a_machine_what_the_large_one_says(tmp_path):
    words = ("--machine", GB10, "--needs", "110G", "--json")
    small = subprocess.run([program().parent / "hearth-doctor", *words], capture_output=True, text=True, check=False)
    large = run(tmp_path, "doctor", *words)
    assert small.returncode == large.returncode == 2, small.stderr
    assert json.loads(small.stdout) == json.loads(large.stdout)
    known = subprocess.run([program().parent / "hearth-doctor", "--explain", "-"], capture_output=True, text=True,
                           input="FATAL: kernel fmha_cutlassF_f16 is for sm80-sm100, but was built for sm121",
                           check=False)
    assert known.returncode == 0 and "CUDNN_ATTENTION" in known.stdout
    assert "enable_mem_efficient_sdp" not in known.stdout


@pytest.mark.skipif(not shutil.which("curl"), reason="the doctor asks servers with curl")
def test_a_server_is_asked_for_a_token_only_when_tests_are_wanted(server, tmp_path):
    def health(*words):
        told = run(tmp_path, "doctor", "--only", "health", "--port", server.port, "--json", *words)
        assert told.returncode == 0, told.stdout + told.stderr
        return json.loads(told.stdout)["findings"][0]["evidence"]

    assert [read["what"] for read in health()] == ["200"]
    token, answer = health("--test")
    assert token["where"].endswith("/v1/completions") and token["what"].startswith("a token of ")
    assert answer["what"] == "200"


STALLED_GB10 = """#!/bin/sh
# A GB10 that is idle when it is asked first and then busy at a fraction of its clock.
case "$*" in
  *query-gpu=index*) ;;
  *) exit 0 ;;
esac
if [ -e "$0.asked" ]; then echo "0, NVIDIA GB10, 12.1, [N/A], 630, 3003, 16.20, 48, 95, Enabled"
else echo "0, NVIDIA GB10, 12.1, [N/A], 208, 3003, 4.31, 41, 0, Enabled"; fi
touch "$0.asked"
"""


@pytest.mark.skipif(not shutil.which("curl"), reason="the doctor asks servers with curl")
@pytest.mark.parametrize("words, verdict, code", [((), "unknown", 0), (("--test",), "failure", 2)])
def test_a_question_shows_what_the_gpu_does_under_load(server, tmp_path, monkeypatch, words, verdict, code):
    tool = tmp_path / "tools" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(STALLED_GB10)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    told = run(tmp_path, "doctor", "--only", "low-power", "--port", server.port, "--json", *words)
    found = json.loads(told.stdout)["findings"][0]
    assert (found["verdict"], told.returncode) == (verdict, code), told.stdout
    assert verdict == "unknown" or "630 MHz" in found["evidence"][0]["what"]


def test_a_recording_of_this_machine_can_be_examined(tmp_path):
    recorded = run(tmp_path, "doctor", "--record", tmp_path / "report")
    assert recorded.returncode == 0, recorded.stderr
    info = run(tmp_path, "info", "--json", "--machine", tmp_path / "report")
    assert json.loads(info.stdout)["memory_bytes"] > 0
    assert json.loads(info.stdout)["host"] == "recorded"


def test_a_misspelt_stack_or_check_is_named(tmp_path):
    wrong = run(tmp_path, "doctor", "--env", "tritn")
    assert wrong.returncode == 2 and "did you mean 'triton'" in wrong.stderr
    assert run(tmp_path, "doctor", "--only", "swpa").returncode == 2
