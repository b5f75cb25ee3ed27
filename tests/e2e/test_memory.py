"""What a long prompt costs in memory, and pictures beside a chat, seen from outside the process."""
import ctypes
import mmap
import os
import shutil
import threading

import pytest
from comfy_process import ComfyHearth, graph
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


def test_what_a_loaded_model_holds_is_leased_its_tokenizer_too(tmp_path):
    config = "".join(profile(name, model_file(name), "context = 256") for name in ("smollm2", "gemma3"))
    with Hearth(tmp_path, config) as server:
        idle = server.memory_bytes("RssAnon")
        for name in ("smollm2", "gemma3"):
            assert server.post(COMPLETIONS, model=name, prompt="word " * 100, max_tokens=4)[0] == 200
        leases = {name.split('"')[3]: value for name, value in server.leases().items()}
        assert leases["tokenizer smollm2"] > 2 * MIB and leases["tokenizer gemma3"] > 8 * MIB
        held = server.memory_bytes("RssAnon") - idle
        assert abs(held - sum(leases.values())) < 16 * MIB, f"{held / MIB:.0f} MiB are held for {leases}"


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


def share_in_cache(path):
    """How much of a file the page cache holds, without reading it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [
        ctypes.c_long]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        pages = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
        address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
        assert libc.mincore(address, size, pages) == 0, os.strerror(ctypes.get_errno())
        libc.munmap(address, size)
    return sum(byte & 1 for byte in pages.raw) / len(pages)


def test_files_stay_in_the_page_cache_on_request(tmp_path):
    model = tmp_path / "model.gguf"
    shutil.copy(model_file("smollm2"), model)
    answers = []
    for loading in ("direct", "mmap"):
        with open(model, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if share_in_cache(model) > 0.5:
            pytest.skip("this file system is memory")
        folder = tmp_path / loading
        folder.mkdir()
        with Hearth(folder, profile("smollm2", model) + f'[memory]\nloading = "{loading}"\n') as server:
            status, answer = server.post(COMPLETIONS, prompt="One, two, three,", max_tokens=8, temperature=0)
            assert status == 200
            answers.append(answer["choices"][0]["text"])
            held = share_in_cache(model)
            assert held > 0.9 if loading == "mmap" else held < 0.5, f"{loading}: {held:.2f} of the file are cached"
    assert answers[0] == answers[1]


def test_leases_say_what_pictures_beside_a_chat_take(tmp_path):
    """What is in memory without a lease grows by a few megabytes for buffers of a request, however large the picture:
    the last one drawn here takes tens of megabytes in pixels alone."""
    chat = profile("smollm2", model_file("smollm2"), "context = 512", "pin = true")
    with ComfyHearth(tmp_path / "server", chat) as server:
        def unleased():
            # Read around the leases: what is taken or given back meanwhile is not counted against them.
            before = server.memory_bytes("RssAnon")
            return min(before, server.memory_bytes("RssAnon")) - sum(server.leases().values())

        def draw(prompt):
            server.queue(prompt)
            most = unleased()
            while server.get("/prompt")["exec_info"]["queue_remaining"] > 0:
                most = max(most, unleased())
            return most

        def painted(side):
            return {"1": {"class_type": "EmptyImage", "inputs": {"width": side, "height": side, "batch_size": 1,
                                                                 "color": 255}},
                    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
                    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "large"}}}

        is_over = threading.Event()

        def talk():
            while not is_over.is_set():
                server.client().completions.create(model="smollm2", prompt="x", max_tokens=20)

        talking = threading.Thread(target=talk)
        talking.start()
        try:
            small = max(draw(graph(steps=1)), draw(graph(steps=2, side=256)), draw(painted(64)))
            large = draw(painted(3072))
        finally:
            is_over.set()
            talking.join()
        assert large < small + 16 * MIB, f"{small / MIB:.0f} MiB without a lease became {large / MIB:.0f} MiB"
