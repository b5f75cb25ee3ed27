"""hearth doctor and hearth info on recorded machines: output and exit code as users get them."""
import json
import subprocess

from hearth_process import ROOT, run

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
