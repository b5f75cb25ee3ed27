"""deploy/ holds together: every variable and path that its files and docs/deploy.md name exists, and what they promise
(loopback by default, a read-only ComfyUI folder, no root, a health check that tells health from its lack) is there."""
import fnmatch
import http.server
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import threading

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SETTINGS = set(re.findall(r"`(HEARTH_[A-Z_]+)`", (ROOT / "docs" / "configuration.md").read_text()))
VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")


def settings_of(path):
    """NAME=value lines, commented-out ones too when they look like settings."""
    found = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", path.read_text(), re.M)
    assert len({name for name, _ in found}) == len(found), f"{path.name} names a variable twice"
    return dict(found)


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def service(compose):
    return compose["services"]["hearth"]


@pytest.fixture(scope="module")
def dockerfile():
    """Instructions as (word, rest), continued lines joined."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def final_stage(dockerfile):
    last = max(at for at, (word, _) in enumerate(dockerfile) if word == "FROM")
    return dockerfile[last:]


def only(dockerfile, word):
    rests = [rest for each, rest in dockerfile if each == word]
    assert len(rests) == 1, f"{word}: {rests}"
    return rests[0]


def substitute(text, values):
    """As compose does it: ${NAME}, ${NAME:-default}, ${NAME:?reason}."""
    def value(match):
        name, kind, rest = match.groups()
        if values.get(name):
            return values[name]
        assert kind != ":?", f"{name} is not set: {rest}"
        return rest if kind == ":-" else ""

    return VARIABLE.sub(value, text)


# compose.yaml and .env.example

def test_every_variable_of_compose_is_in_the_example_and_the_other_way_round():
    used = {match[0] for match in VARIABLE.findall((DEPLOY / "compose.yaml").read_text())}
    assert used == set(settings_of(DEPLOY / ".env.example"))
    assert {"COMFYUI_HOST_PATH", "SPARKYUI_DATA_PATH", "HEARTH_BIND"} <= used


def test_without_settings_only_this_machine_reaches_it(service):
    assert [substitute(port, {}) for port in service["ports"]] == ["127.0.0.1:8188:8188"]
    assert substitute(service["ports"][0], {"HEARTH_BIND": "0.0.0.0"}) == "0.0.0.0:8188:8188"


def test_the_two_folders_must_be_named_and_comfyui_is_never_written(service):
    comfyui, data = service["volumes"]
    assert comfyui["source"].startswith("${COMFYUI_HOST_PATH:?") and comfyui["read_only"] is True
    assert data["source"].startswith("${SPARKYUI_DATA_PATH:?") and not data.get("read_only")
    for volume in (comfyui, data):
        assert volume["bind"]["create_host_path"] is False  # a typing error must not make an empty folder
        with pytest.raises(AssertionError):
            substitute(volume["source"], {})


def test_every_setting_that_compose_hands_on_exists_and_points_at_a_mounted_folder(service):
    assert set(service["environment"]) <= SETTINGS
    mounted = [volume["target"] for volume in service["volumes"]] + service["tmpfs"]
    paths = {name: value for name, value in service["environment"].items() if name.endswith("_DIR")}
    assert set(paths) >= {f"HEARTH_PICTURES_{each}_DIR" for each in ("COMFYUI", "INPUT", "OUTPUT", "USER", "TEMP")}
    for name, path in paths.items():
        assert any(path == mount or path.startswith(mount + "/") for mount in mounted), name


def test_it_comes_back_keeps_little_log_and_may_do_little(service):
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert substitute(service["user"], {}) == "1000:1000"
    assert substitute(service["mem_limit"], {}) == "0"


def test_compose_builds_from_this_tree(service):
    context = (DEPLOY / service["build"]["context"]).resolve()
    assert context == ROOT and (context / service["build"]["dockerfile"]).is_file()


def test_docker_compose_itself_can_read_it(service, tmp_path):
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("there is no docker compose here")
    (tmp_path / "env").write_text(f"COMFYUI_HOST_PATH={tmp_path}\nSPARKYUI_DATA_PATH={tmp_path}\n")
    done = subprocess.run(["docker", "compose", "--env-file", tmp_path / "env", "-f", DEPLOY / "compose.yaml", "config",
                           "--format", "json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    port = json.loads(done.stdout)["services"]["hearth"]["ports"][0]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "8188", 8188)


# Dockerfile

def is_in_context(path):
    """By the patterns of Dockerfile.dockerignore: the last one that fits decides."""
    taken = True
    for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.lstrip("!")
            if any(fnmatch.fnmatch(part, pattern) for part in [path, *map(str, pathlib.PurePath(path).parents)]):
                taken = line.startswith("!")
    return taken


def test_the_context_has_what_the_build_names_and_not_what_lies_about(dockerfile):
    named = [source for word, rest in dockerfile if word == "COPY" and "--from" not in rest
             for source in rest.split()[:-1] if source != "."]
    named += [folder + "/CMakeLists.txt" for folder in re.findall(
        r"^add_subdirectory\(([\w/]+)\)", (ROOT / "CMakeLists.txt").read_text(), re.M)]
    named += re.findall(r"\$\{CMAKE_SOURCE_DIR\}/([\w./]+\.\w+)", (ROOT / "src" / "CMakeLists.txt").read_text())
    named += ["CMakeLists.txt", "CMakePresets.json", "cmake/embed.cmake", "assets/sprite/packed.py",
              "assets/sprite/sprite.packed", "assets/sprite/about.json"]
    assert {"web/app.js", "tests/CMakeLists.txt", "src/CMakeLists.txt"} <= set(named)
    for path in named:
        assert (ROOT / path).exists(), path
        assert is_in_context(path), path
    for path in (".git/config", "build/ci/bin/hearth", "models/a.gguf", "tests/web/conftest.py", "deploy/.env"):
        assert not is_in_context(path), path


def test_the_build_uses_a_preset_a_target_and_a_list_that_exist(dockerfile):
    commands = " ".join(rest for word, rest in dockerfile if word == "RUN")
    preset = re.search(r"cmake --preset (\w+)", commands).group(1)
    presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
    assert preset in [each["name"] for each in presets]
    target = re.search(r"--target (\w+)", commands).group(1)
    assert f"add_custom_target({target})" in (ROOT / "CMakeLists.txt").read_text()
    for option in re.findall(r"-D(HEARTH_\w+)=", commands):
        assert re.search(rf"option\({option}\b|set\({option}\b", (ROOT / "CMakeLists.txt").read_text()), option
    listed = subprocess.run(["bash", ROOT / "tools" / "packages.sh", *re.search(
        r"packages\.sh ([a-z ]+)\)", commands).group(1).split()], capture_output=True, text=True)
    assert listed.returncode == 0 and "g++" in listed.stdout


def test_what_runs_is_not_root_and_has_no_python(dockerfile):
    stage = final_stage(dockerfile)
    assert only(stage, "USER") == "hearth"
    assert not re.search(r"python|g\+\+|cmake", " ".join(" ".join(each) for each in stage))
    assert json.loads(only(stage, "ENTRYPOINT")) == ["/usr/local/bin/hearth"]
    assert json.loads(only(stage, "CMD")) == ["serve"]
    assert [rest.split()[-1] for word, rest in stage if word == "COPY"][-1] == "/usr/local"


def test_what_is_installed_is_the_program_with_its_picture_model(dockerfile, tmp_path):
    """cmake --install, as the Dockerfile and docs/deploy.md call it, on a build that is there."""
    install = next(re.search(r"cmake --install build/\w+ --prefix (\S+)", rest) for word, rest in dockerfile
                   if word == "RUN" and "--install" in rest)
    assert any(word == "COPY" and f"--from=build {install.group(1)} " in rest for word, rest in dockerfile)
    build = pathlib.Path(os.environ.get("HEARTH_BIN", "none")).parent
    if not (build / "cmake_install.cmake").exists():
        pytest.skip("HEARTH_BIN names no folder of a build")
    subprocess.run(["cmake", "--install", build, "--prefix", tmp_path], check=True, capture_output=True)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"bin/hearth", "bin/hearth-watchdog", "bin/hearth-doctor",
            "share/hearth/models/checkpoints/sprite.safetensors"} <= found
    assert all(path.startswith(("bin/hearth", "share/hearth/")) for path in found), found
    config = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    told = subprocess.run([tmp_path / "bin/hearth", "imagine", "a red apple", "--steps", "1", "-o", "a.png"],
                          cwd=tmp_path,
                          env=config, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0 and "128x128" in told.stderr, told.stderr


def test_the_settings_of_the_image_exist_and_its_port_is_the_published_one(dockerfile, service):
    stage = final_stage(dockerfile)
    values = dict(word.split("=", 1) for word in shlex.split(only(stage, "ENV")))
    assert {name for name in values if name.startswith("HEARTH_")} <= SETTINGS
    assert values["HEARTH_SERVER_PORT"] == only(stage, "EXPOSE") == substitute(service["ports"][0], {}).split(":")[-1]
    assert values["XDG_DATA_HOME"] == only(stage, "WORKDIR") == service["volumes"][1]["target"]


class Health(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self):
        status = 200 if self.path == "/health" else 404
        self.send_response(status)
        self.end_headers()
        self.wfile.write(self.body if status == 200 else b"")

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("body, is_healthy", [(b'{"status":"ok"}', True), (b'{"status":"broken"}', False)])
def test_the_health_check_tells_health_from_its_lack(dockerfile, body, is_healthy):
    command = json.loads(only(final_stage(dockerfile), "HEALTHCHECK").split("CMD ", 1)[1])
    server = http.server.HTTPServer(("127.0.0.1", 0), type("Here", (Health,), {"body": body}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert "/8188 " in command[-1]
        command[-1] = command[-1].replace("/8188", f"/{server.server_port}")
        assert (subprocess.run(command, timeout=20).returncode == 0) is is_healthy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert subprocess.run(command, timeout=20, capture_output=True).returncode != 0  # nobody listens any more


# hearth.service

@pytest.fixture(scope="module")
def unit():
    """Section -> list of (key, value)."""
    sections, current = {}, None
    for line in (DEPLOY / "hearth.service").read_text().splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            key, value = line.split("=", 1)
            current.append((key, value))
    return sections


def values_of(unit, key, section="Service"):
    return [value for name, value in unit[section] if name == key]


def test_the_unit_starts_the_program_where_its_data_is(unit, dockerfile):
    assert set(unit) == {"Unit", "Service", "Install"}
    assert values_of(unit, "ExecStart") == ["/usr/local/bin/hearth serve"]
    assert '"serve"' in (ROOT / "apps" / "hearth" / "serve.cpp").read_text()
    environment = dict(each.split("=", 1) for each in values_of(unit, "Environment"))
    state = values_of(unit, "StateDirectory")[0]
    assert values_of(unit, "WorkingDirectory") == [f"{environment['XDG_DATA_HOME']}/{state}"]
    assert {name for name in environment if name.startswith("HEARTH_")} <= SETTINGS
    assert values_of(unit, "Restart") == ["on-failure"]


def test_the_unit_is_hardened_and_leaves_the_pattern_compiler_alone(unit):
    keys = [key for key, _ in unit["Service"]]
    for key in ("NoNewPrivileges", "PrivateTmp", "ProtectKernelTunables", "ProtectKernelModules",
                "ProtectControlGroups", "RestrictNamespaces", "LockPersonality", "DynamicUser"):
        assert values_of(unit, key) == ["yes"], key
    assert values_of(unit, "ProtectSystem") == ["strict"] and values_of(unit, "CapabilityBoundingSet") == [""]
    assert "MemoryDenyWriteExecute" not in keys
    assert {key for key in keys if keys.count(key) > 1} <= {"Environment"}


def test_systemd_itself_can_read_the_unit(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze here")
    text = (DEPLOY / "hearth.service").read_text()
    copy = tmp_path / "hearth.service"
    copy.write_text(text.replace("/usr/local/bin/hearth", shutil.which("true")))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
    assert done.returncode == 0 and "hearth.service" not in done.stderr, done.stderr


def test_the_variables_of_the_service_exist():
    named = settings_of(DEPLOY / "hearth.env.example")
    assert named and set(named) <= SETTINGS


# docs/deploy.md

def test_the_page_names_only_what_exists(service):
    page = (ROOT / "docs" / "deploy.md").read_text()
    variables = set(re.findall(r"\b((?:HEARTH|COMFYUI|SPARKYUI|CONTAINER)_[A-Z_]*[A-Z])\b", page))
    assert variables <= SETTINGS | set(settings_of(DEPLOY / ".env.example"))
    assert set(settings_of(DEPLOY / ".env.example")) <= variables
    for path in re.findall(r"\]\((\w[\w-]*\.md)", page):
        assert (ROOT / "docs" / path).exists(), path
    for path in re.findall(r"\bdeploy/[\w.]*\w", page):
        assert (ROOT / path).exists(), path
    assert {path.name for path in DEPLOY.iterdir()} - {".env"} == {
        "Dockerfile", "Dockerfile.dockerignore", "compose.yaml", ".env.example", "hearth.service", "hearth.env.example"}
