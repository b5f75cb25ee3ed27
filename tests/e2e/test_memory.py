"""What a long prompt costs in memory, seen from outside the process."""
from hearth_process import COMPLETIONS, Hearth, model_file, profile

MIB = 1 << 20


def test_peak_memory_of_a_2048_token_prompt(tmp_path):
    with Hearth(tmp_path, profile("smollm2", model_file("smollm2"), "context = 4096")) as server:
        prompt = [100 + i % 9000 for i in range(2048)]
        answer = server.post(COMPLETIONS, prompt=prompt, max_tokens=8, ignore_eos=True)[1]
        assert answer["usage"]["prompt_tokens"] == 2048 and answer["usage"]["completion_tokens"] == 8
        held = {name.split('"')[3].split()[0]: value for name, value in server.leases().items()}
        assert held["weights"] > 80 * MIB and held["state"] > 50 * MIB
        peak = server.memory_bytes("VmHWM")
        assert peak <= held["weights"] + held["state"] + 120 * MIB, f"peak {peak / MIB:.0f} MiB, leases {held}"
        # The leases are not fiction either: the weights are in memory, and so is the state of this prompt.
        assert peak >= held["weights"]


def test_loading_and_unloading_again_and_again_does_not_grow(tmp_path):
    config = profile("smollm2", model_file("smollm2")) + profile("gemma3", model_file("gemma3"))
    limits = '[llm]\ncontext = 256\n[memory]\nbudget = "320MiB"\n'
    with Hearth(tmp_path, config + limits) as server:
        def load_both():
            for name in ("smollm2", "gemma3"):
                assert server.post(COMPLETIONS, model=name, prompt="x", max_tokens=1)[0] == 200
            return server.memory_bytes("VmRSS")

        load_both()
        first = load_both()
        for _ in range(4):
            last = load_both()
        assert sum("unloaded smollm2" in line for line in server.log) >= 5
        assert last < first + 24 * MIB, f"{first / MIB:.0f} MiB became {last / MIB:.0f} MiB"
