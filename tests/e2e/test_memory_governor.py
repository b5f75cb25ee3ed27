"""The governor seen from outside: a machine whose memory a test takes away makes the server refuse, shrink, end its
largest request, end itself or be ended, and everybody is told why. Also what a client can ask for: the map, room for
another program, models that leave."""
import json
import os
import pathlib
import signal
import subprocess

import pytest

from comfy_process import ENDLESS, ComfyHearth, graph
from hearth_process import (CHAT, COMPLETIONS, Hearth, RawStream, environment, free_port, model_file, profile, program,
                            until)

GIB, MIB = 1 << 30, 1 << 20
FLOORS = '[memory]\nsoft_floor = "4GiB"\nhard_floor = "2GiB"\npanic_floor = "1GiB"\n'


class Machine:
    """Stands for /proc and /sys of a machine of 24 GiB."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "proc").mkdir(parents=True)
        self.set_available(16)

    @property
    def env(self):
        return {"HEARTH_TEST_MACHINE": str(self.folder)}

    def set_available(self, gib):
        kib = int(gib * MIB)
        # In place and in one write, always as long: the watchdog keeps the file open.
        text = f"MemTotal: {24 * MIB:12} kB\nMemFree: {kib:12} kB\nMemAvailable: {kib:12} kB\n".encode()
        file = os.open(self.folder / "proc" / "meminfo", os.O_WRONLY | os.O_CREAT)
        os.pwrite(file, text, 0)
        os.close(file)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "machine")


def memory(server):
    return json.loads(server.request("GET", "/memory")[2])


def level(server):
    return memory(server)["level"]


def chat_config(*lines):
    return profile("smollm2", model_file("smollm2"), "context = 1024", *lines)


def test_below_the_soft_floor_nothing_begins_and_idle_models_leave(tmp_path, machine):
    with ComfyHearth(tmp_path / "server", chat_config() + FLOORS, env=machine.env) as server:
        chat = {"model": "smollm2", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
        server.client().chat.completions.create(**chat)
        assert server.is_loaded("smollm2") and level(server) == "calm"
        gauges = memory(server)["gauges"]
        assert gauges["available_bytes"] == 16 * GIB
        unknown = ("stall_percent", "large_block_bytes", "swap_total_bytes", "pages_swapped_out", "cgroup_room_bytes")
        assert all(gauges[name] is None for name in unknown), "this machine's kernel does not say"
        machine.set_available(3)
        assert until(lambda: level(server) == "soft")
        assert until(lambda: not server.is_loaded("smollm2"))
        for path, body in (CHAT, chat), ("/prompt", {"prompt": graph()}):
            status, headers, data = server.request("POST", path, json.dumps(body))
            error = json.loads(data)["error"]
            assert status == 503 and error["code"] == "no_memory" and int(headers["retry-after"]) > 0
            assert "3.00 GiB available" in error["message"] and "soft floor is 4.00 GiB" in error["message"]
            assert error["details"]["floor_bytes"] == 4 * GIB
        report = memory(server)
        assert report["pools"][0]["evictions"] >= 1
        assert any(event["who"] == "smollm2" for event in report["pools"][0]["events"])
        assert server.metrics()["hearth_memory_level"] == 1
        machine.set_available(16)
        assert until(lambda: level(server) == "calm")
        assert server.client().chat.completions.create(**chat).choices[0].finish_reason


def lease(server, holder):
    return next((one["bytes"] for one in memory(server)["pools"][0]["leases"] if one["holder"] == holder), 0)


def test_below_the_soft_floor_a_pinned_model_gives_the_pages_of_its_state_back(tmp_path, machine):
    pinned = profile("smollm2", model_file("smollm2"), "context = 4096", "pin = true")
    machine.set_available(4.6)  # a fall from far above looks grave: pinned models leave then
    with Hearth(tmp_path / "server", pinned + FLOORS, env=machine.env) as server:
        def say():
            return server.post(COMPLETIONS, model="smollm2", prompt="word " * 300, max_tokens=4, temperature=0)[1]

        said = say()
        assert until(server.is_quiet)
        whole, held = lease(server, "state smollm2"), server.memory_bytes("RssAnon")
        resident = memory(server)["resident"][0]
        assert whole > 150 * MIB and resident["cached_bytes"] > 5 * MIB
        for gib in (4.3, 3.9):
            machine.set_available(gib)
            assert until(lambda: memory(server)["gauges"]["available_bytes"] < (gib + 0.01) * GIB)
        assert until(lambda: lease(server, "state smollm2") < whole // 50)
        report = memory(server)
        given = whole - lease(server, "state smollm2")
        assert server.is_loaded("smollm2") and given == resident["unused_bytes"] + resident["cached_bytes"]
        assert abs(held - server.memory_bytes("RssAnon") - given) < 16 * MIB, "leases are what is held"
        assert any(event["who"] == "spare pages of smollm2" for event in report["pools"][0]["events"])
        machine.set_available(16)
        assert until(lambda: level(server) == "calm")
        again = say()
        assert again["choices"] == said["choices"] and again["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
        assert until(server.is_quiet)
        assert lease(server, "state smollm2") == whole
        assert abs(server.memory_bytes("RssAnon") - held) < 16 * MIB
        assert say()["usage"]["prompt_tokens_details"]["cached_tokens"] > 0, "beginnings are kept again"


def test_below_the_hard_floor_running_work_ends_with_the_reason(tmp_path, machine):
    with ComfyHearth(tmp_path / "server", chat_config() + FLOORS, env=machine.env) as server:
        prompt_id = server.queue(graph(steps=ENDLESS))
        stream = RawStream(server, COMPLETIONS, {"model": "smollm2", "prompt": "Once", "max_tokens": 900,
                                                 "ignore_eos": True})
        stream.read_until(b"text")
        assert until(lambda: any(resident["busy"] for resident in memory(server)["resident"]))
        machine.set_available(1.5)
        said = stream.read_all().decode()
        assert "hard floor is 2.00 GiB" in said and '"code":"no_memory"' in said and "[DONE]" not in said
        assert until(lambda: prompt_id in server.get(f"/history/{prompt_id}"))
        status = server.get(f"/history/{prompt_id}")[prompt_id]["status"]
        failures = [data for kind, data in status["messages"] if kind == "execution_error"]
        assert failures[0]["exception_type"] == "torch.OutOfMemoryError"
        assert "floor" in failures[0]["exception_message"] and "details" in failures[0]
        assert until(lambda: memory(server)["pools"][0]["leased_bytes"] == 0), memory(server)
        # The picture may have asked for memory itself and heard the same before it was ended.
        assert server.is_alive() and memory(server)["aborts"] >= 1
        machine.set_available(16)
        assert until(lambda: level(server) == "calm")
        assert server.post(COMPLETIONS, {"model": "smollm2", "prompt": "x", "max_tokens": 2})[0] == 200


def test_below_the_panic_floor_the_server_ends_itself_and_says_so(tmp_path, machine):
    server = Hearth(tmp_path / "server", chat_config() + FLOORS + "watchdog = false\n", env=machine.env)
    machine.set_available(0.5)
    assert server.process.wait(timeout=20) == 86
    server.reader.join(timeout=20)
    assert any("512.0 MiB available, below the last floor of 1.00 GiB" in line for line in server.log)


def test_a_server_that_does_not_react_is_ended_by_the_watchdog(tmp_path, machine):
    server = Hearth(tmp_path / "server", chat_config() + FLOORS, env=machine.env)
    pid = server.process.pid
    assert pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    watchdog = [child for child in children if "hearth-watchdog" in pathlib.Path(f"/proc/{child}/cmdline").read_text()]
    assert len(watchdog) == 1
    server.process.send_signal(signal.SIGSTOP)
    machine.set_available(1.5)
    assert server.process.wait(timeout=20) == -signal.SIGKILL
    server.reader.join(timeout=20)
    assert any("hearth-watchdog: ending process" in line for line in server.log)
    assert until(lambda: not pathlib.Path(f"/proc/{watchdog[0]}/fd/1").exists()), "it ends with the server"


def takes_stall_triggers():
    """Whether this kernel lets an ordinary program wait for stalls: windows of 2 s, without privilege."""
    try:
        file = os.open("/proc/pressure/memory", os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.write(file, b"full 100000 2000000\0") > 0
    except OSError:
        return False
    finally:
        os.close(file)


@pytest.mark.skipif(not takes_stall_triggers(), reason="this kernel offers no triggers on memory pressure")
def test_the_watchdog_is_woken_by_stalls_and_keeps_its_memory(tmp_path, machine):
    with Hearth(tmp_path / "server", FLOORS, env=machine.env) as server:
        pid = server.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        own = next(child for child in children if "watchdog" in pathlib.Path(f"/proc/{child}/comm").read_text())
        files = pathlib.Path(f"/proc/{own}/fd")
        assert until(lambda: any(os.readlink(file) == "/proc/pressure/memory" for file in files.iterdir()))
        assert int(pathlib.Path(f"/proc/{own}/oom_score_adj").read_text()) <= 0
        status = pathlib.Path(f"/proc/{own}/status").read_text()
        held = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.startswith("Vm")}
        assert held["VmRSS"] < 4096, "kB"
        assert held["VmLck"] > 0 or os.geteuid() != 0


def test_beside_a_program_that_takes_memory_the_server_sheds_and_lives(tmp_path):
    """On the real machine: its floor is put where a program that takes a quarter of what is available crosses it. What
    others give back meanwhile it takes too."""
    text = pathlib.Path("/proc/meminfo").read_text()
    available = int(text.split("MemAvailable:")[1].split()[0]) * 1024
    floors = f'[memory]\nsoft_floor = {available * 7 // 8}\nhard_floor = {available // 8}\npanic_floor = 0\n'
    hog = """
import sys
kept = []
for line in sys.stdin:
    kept.append(b"x" * int(line))
    print("taken", flush=True)
"""
    with ComfyHearth(tmp_path / "server", chat_config() + floors) as server:
        # What else runs on this machine may have taken a lot since the floor was set.
        assert until(lambda: server.post(COMPLETIONS, {"model": "smollm2", "prompt": "x", "max_tokens": 1})[0] == 200)
        beside = subprocess.Popen(["python3", "-c", hog], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            for _ in range(5):
                print(available // 8, file=beside.stdin, flush=True)
                assert beside.stdout.readline() == "taken\n"
                if until(lambda: level(server) != "calm", seconds=2):
                    break
            assert until(lambda: not server.is_loaded("smollm2")) and level(server) == "soft"
            report, metrics = memory(server), server.metrics()
            assert all(report["gauges"][name] is not None for name in ("swap_total_bytes", "pages_swapped_out"))
            assert metrics['hearth_memory_pool_budget_bytes{pool="host"}'] == report["pools"][0]["budget_bytes"]
            assert metrics["hearth_memory_swap_used_bytes"] >= 0
            assert server.post(COMPLETIONS, {"model": "smollm2", "prompt": "x", "max_tokens": 1})[0] == 503
        finally:
            beside.communicate(timeout=20)
        assert until(lambda: level(server) == "calm")
        assert until(lambda: server.post(COMPLETIONS, {"model": "smollm2", "prompt": "x", "max_tokens": 1})[0] == 200)


def test_a_missing_watchdog_costs_a_warning_only(tmp_path):
    (tmp_path / "bin").mkdir()
    alone = tmp_path / "bin" / "hearth"
    os.link(program(), alone) if os.stat(program()).st_dev == os.stat(tmp_path).st_dev else alone.write_bytes(
        program().read_bytes())
    alone.chmod(0o755)
    process = subprocess.Popen([alone, "serve", "--port", str(free_port()), "--device", "cpu"], cwd=tmp_path,
                               env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "ready on" in line:
            break
    process.terminate()
    assert process.wait(timeout=20) == 0
    assert any("no watchdog" in line for line in lines)


def test_a_refusal_has_numbers_and_says_what_would_fit(tmp_path):
    config = profile("smollm2", model_file("smollm2"), "context = 8192") + '[memory]\nbudget = "300MiB"\n'
    with Hearth(tmp_path, config) as server:
        status, error = server.error(COMPLETIONS, model="smollm2", prompt="x", max_tokens=1)
        assert status == 503 and error["code"] == "no_memory", error
        details = error["details"]
        assert details["needed_bytes"] > details["available_bytes"] and details["budget_bytes"] == 300 * MIB
        context = next(choice["context"] for choice in details["would_fit"] if "context" in choice)
        assert f"context = {context}" in error["message"]
        assert memory(server)["pools"][0]["refusals"] == 1
        assert memory(server)["pools"][0]["events"][-1]["kind"] == "refusal"
    (tmp_path / "smaller").mkdir()
    with Hearth(tmp_path / "smaller", config.replace("8192", str(context))) as server:
        assert server.post(COMPLETIONS, model="smollm2", prompt="x", max_tokens=1)[0] == 200


def test_a_large_body_needs_room_before_it_is_read(tmp_path):
    """Twice its size: as it came, and what is parsed out of it."""
    body = b" " * (60 * MIB)
    for name, budget, status in (("small", 100, 503), ("large", 200, 400)):
        folder = tmp_path / name
        folder.mkdir()
        config = f'[server]\nmax_body = "64MiB"\n[memory]\nbudget = "{budget}MiB"\n' + chat_config()
        with Hearth(folder, config) as server:
            if status == 400:
                assert server.post(COMPLETIONS, prompt="x", max_tokens=1)[0] == 200  # idle: gives way to the body
            got, _, data = server.request("POST", "/v1/completions", body)
            error = json.loads(data)["error"]
            assert got == status, error
            if status == 503:
                assert error["code"] == "no_memory" and error["details"]["needed_bytes"] == 120 * MIB
            assert until(lambda: not any("requests" in holder for holder in server.leases())), server.leases()
            pool = memory(server)["pools"][0]
            assert pool["peak_leased_bytes"] <= pool["budget_bytes"]
            assert status == 503 or pool["evictions"] > 0


def test_models_stay_as_long_as_a_request_says_and_leave_when_asked(tmp_path):
    with ComfyHearth(tmp_path / "server", chat_config()) as server:
        def say(**more):
            return server.post(COMPLETIONS, {"model": "smollm2", "prompt": "x", "max_tokens": 1, **more})[0]

        assert say(keep_alive=0) == 200
        assert until(lambda: not server.is_loaded("smollm2"))
        assert say(keep_alive="soon") == 400
        assert say() == 200 and server.is_loaded("smollm2")
        assert until(server.is_quiet)
        freed = server.post("/memory/free", {"model": "smollm2"})[1]["freed_bytes"]
        assert freed > 80 * MIB and not server.is_loaded("smollm2")
        assert say() == 200 and until(server.is_quiet)
        assert server.request("POST", "/free", {"unload_models": True, "free_memory": True})[0] == 200
        assert until(lambda: memory(server)["pools"][0]["leased_bytes"] == 0)


def command(server, *words, **more):
    return subprocess.Popen([program(), words[0], "--port", str(server.port), *words[1:]], cwd=server.folder,
                            env=environment(server.folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            **more)


def test_memory_is_reserved_for_another_program_while_it_runs(tmp_path):
    with ComfyHearth(tmp_path / "server", chat_config(), '[memory]\nbudget = "400MiB"') as server:
        assert server.post(COMPLETIONS, {"model": "smollm2", "prompt": "x", "max_tokens": 1})[0] == 200
        assert until(server.is_quiet)
        holding = command(server, "reserve", "380M", "--name", "trainer", "--", "sh", "-c", "read line; exit 7",
                          stdin=subprocess.PIPE)
        assert until(lambda: memory(server)["neighbours"])
        report = memory(server)
        assert report["neighbours"][0]["name"] == "trainer" and report["neighbours"][0]["pool"] == "host"
        assert not server.is_loaded("smollm2"), "the idle model was parked"
        assert any(lease == {"holder": "reserved for trainer", "bytes": 380 * MIB}
                   for lease in report["pools"][0]["leases"])
        status, error = server.post(COMPLETIONS, {"model": "smollm2", "prompt": "x", "max_tokens": 1})
        assert status == 503 and "reserved for trainer 380.0 MiB" in error["error"]["message"]

        shown = command(server, "top", "--once").communicate(timeout=20)[0]
        assert "reserved for trainer" in shown and "floors" in shown and "smollm2" in shown
        said = command(server, "top", "--json").communicate(timeout=20)[0]
        assert json.loads(said)["neighbours"][0]["reserved_bytes"] == 380 * MIB

        holding.communicate("go\n", timeout=20)
        assert holding.returncode == 7
        assert until(lambda: not memory(server)["neighbours"])
        assert server.post(COMPLETIONS, {"model": "smollm2", "prompt": "x", "max_tokens": 1})[0] == 200

        too_much = command(server, "reserve", "4G", "--", "true")
        assert "400.0 MiB" in too_much.communicate(timeout=20)[1] and too_much.returncode == 1
        elsewhere = command(server, "reserve", "1M", "--pool", "cuda:7", "--", "true")
        assert "no pool 'cuda:7'" in elsewhere.communicate(timeout=20)[1] and elsewhere.returncode == 2
        named = command(server, "reserve", "1M", "--pool", "host", "--", "true")
        assert "1.0 MiB of pool 'host' held for true" in named.communicate(timeout=20)[1] and named.returncode == 0

        killed = command(server, "reserve", "100M", "--", "sleep", "60", start_new_session=True)
        assert until(lambda: memory(server)["neighbours"])
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait(timeout=20)
        assert until(lambda: not memory(server)["neighbours"])


def test_a_neighbour_that_grows_beyond_its_reservation_is_told_of(tmp_path):
    with Hearth(tmp_path, "") as server:
        grow = "import sys; kept = bytearray(160 << 20); sys.stdin.readline()"
        growing = command(server, "reserve", "64M", "--", "python3", "-c", grow, stdin=subprocess.PIPE)
        assert until(lambda: any(one["beyond_reservation"] for one in memory(server)["neighbours"]))
        said = growing.communicate("\n", timeout=20)[1]
        assert "more than the 64.0 MiB reserved" in said and growing.returncode == 0
