"""Random loads, unloads, chats and pictures under a budget far below what the machine has: the leases and an idle
server are what the process holds, the budget is never exceeded, and nothing is left behind. HEARTH_TEST_SOAK_STEPS
sets how many (bench/memory_soak.py makes a table of it)."""
import os
import sys

from comfy_process import ComfyHearth
from hearth_process import ROOT, model_file, profile

sys.path.append(str(ROOT / "bench"))
from memory_soak import MIB, soak  # noqa: E402

STEPS = int(os.environ.get("HEARTH_TEST_SOAK_STEPS", "150"))


def test_leases_and_an_idle_server_are_what_the_process_holds(tmp_path):
    config = "".join(profile(name, model_file(name), "context = 256") for name in ("smollm2", "gemma3"))
    with ComfyHearth(tmp_path / "server", config, '[memory]\nbudget = "360MiB"') as server:
        work, leaked = soak(server, ["smollm2", "gemma3"], STEPS, seed=7)
        pool = work.report()["pools"][0]
    assert set(work.counts) == {"chat", "picture", "unload", "free"}
    assert pool["evictions"] > 0, "the budget was large enough for everything: nothing was tried"
    assert pool["peak_leased_bytes"] <= pool["budget_bytes"] == 360 * MIB
    assert leaked < 48 * MIB, f"{leaked / MIB:.0f} MiB more than after the warm-up"
