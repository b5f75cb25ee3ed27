"""The other commands of the program: help, config, pull, models, chat and bench, by their output and exit code."""
import json
import os
import re
import signal
import subprocess

import pytest

from hearth_process import ROOT, Hearth, environment, free_port, model_file, profile, program, run

# Every flag there is, so that one that gets lost, renamed or added without its help shows.
FLAGS = {
    "": {"--help", "-h", "--version", "--config", "--log-level"},
    "serve": {"--help", "-h", "--host", "--port", "--device", "--threads", "--model", "-m", "--preload",
              "--frontend", "--preview-method", "--quiet", "-q"},
    "imagine": {"--help", "-h", "--output", "-o", "--model", "-m", "--negative", "-n", "--preset", "-p", "--size",
                "--steps", "--cfg", "--rescale-cfg", "--sampler", "--scheduler", "--seed", "--batch", "--lora",
                "--init", "--mask",
                "--denoise", "--precision", "--attention", "--vae-slicing", "--vae-tiling", "--vae-tile", "--from",
                "--grid", "--seeds", "--out", "--threads", "--quiet", "-q",
                "--no-preview", "--preview-method"},
    "workflow": {"--help", "-h"},
    "workflow check": {"--help", "-h"},
    "workflow run": {"--help", "-h", "--quiet", "-q"},
    "chat": {"--help", "-h", "--model", "-m", "--system", "-s", "--prompt", "-p", "--temperature", "--max-tokens",
             "--seed", "--device"},
    "plan": {"--help", "-h", "--ctx", "--parallel", "--prompt", "--kv-dtype", "--quant", "--images", "--batch",
             "--steps", "--cfg", "--vae-tile", "--machine", "--machines", "--price", "--kwh-price", "--currency",
             "--svg", "--table", "--json"},
    "pull": {"--help", "-h", "--as", "--file", "--sha256", "--replace", "--link"},
    "models": {"--help", "-h"},
    "models list": {"--help", "-h"},
    "models show": {"--help", "-h"},
    "models remove": {"--help", "-h"},
    "doctor": {"--help", "-h", "--look-in", "--models", "--port", "--machine", "--needs", "--log", "--measured",
               "--test", "--only", "--all", "--tuning", "--json", "--markdown", "--fix-script", "--record", "--env",
               "--explain"},
    "info": {"--help", "-h", "--look-in", "--models", "--port", "--machine", "--json", "--markdown"},
    "config": {"--help", "-h"},
    "config check": {"--help", "-h"},
    "config show": {"--help", "-h"},
    "config get": {"--help", "-h"},
    "config example": {"--help", "-h"},
    "bench": {"--help", "-h"},
    "bench llm": {"--help", "-h", "--model", "-m", "--prompt", "--generate", "--parallel", "--repeat", "--threads",
                  "--device", "--load-only", "--quality", "--text", "--chunk", "--kl-tokens", "--json"},
    "bench disk": {"--help", "-h", "--block", "--depth", "--buffers", "--dd", "--json"},
    "top": {"--help", "-h", "--once", "--json", "--interval", "--port"},
    "reserve": {"--help", "-h", "--name", "--pool", "--port", "--wait"},
}
SUBCOMMANDS = {"": {"serve", "chat", "imagine", "workflow", "plan", "pull", "models", "doctor", "info", "config",
                    "top", "reserve", "bench"},
               "models": {"list", "show", "remove"},
               "workflow": {"check", "run"},
               "config": {"check", "show", "get", "example"}, "bench": {"llm", "disk"}}


def listed_flags(text):
    lines = re.findall(r"^  (-[^ ]+)", text, re.M)
    return {flag for line in lines for flag in line.split(",")}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A folder whose model store holds 'tiny', linked."""
    folder = tmp_path_factory.mktemp("store")
    done = run(folder, "pull", f"file:{model_file('smollm2')}", "--as", "tiny", "--link")
    assert done.returncode == 0, done.stderr
    return folder


# --- which model a name means ---------------------------------------------------------------------------------------


def files(folder, *names):
    """Empty files: serving reads a model at its first request."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return [folder / name for name in names]


def offered(server):
    return json.loads(server.request("GET", "/v1/models")[2])["data"]


def serve_error(folder, config, *models):
    (folder / "hearth.toml").write_text(config)
    done = run(folder, "serve", "--port", free_port(), *[word for model in models for word in ("-m", model)])
    assert done.returncode == 2, done
    return done.stderr


def test_two_models_with_one_name_do_not_start(tmp_path):
    one, two, alias = files(tmp_path, "one/same.gguf", "two/same.gguf", "short.gguf")
    for config, models in (("", (one, two)), (profile("same", one), (two,)),
                           (profile("long", alias, 'alias = ["same"]'), (one,))):
        error = serve_error(tmp_path, config, *models)
        assert "two models are called 'same'" in error and "[models." in error, error
        assert sum(str(path) in error for path in (one, two, alias)) == 2, error


def test_a_model_named_twice_is_one_model(tmp_path):
    path, = files(tmp_path, "same.gguf")
    with Hearth(tmp_path, profile("same", path, 'alias = ["short"]'), "-m", str(path), "-m", "short",
                "-m", "same.gguf") as server:
        assert [model["id"] for model in offered(server)] == ["same"]


def test_a_folder_gives_its_whole_name(tmp_path):
    folders = [tmp_path / "Tiny-0.6B", tmp_path / "Tiny-0.8B"]
    for folder in folders:
        folder.mkdir()
    with Hearth(tmp_path, "", "-m", f"{folders[0]}/", "-m", str(folders[1])) as server:
        assert {model["id"] for model in offered(server)} == {"Tiny-0.6B", "Tiny-0.8B"}


# --- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", FLAGS)
def test_help_lists_every_flag(tmp_path, command):
    done = run(tmp_path, *command.split(), "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert listed_flags(done.stdout) == FLAGS[command]
    for subcommand in SUBCOMMANDS.get(command, ()):
        assert re.search(rf"^  {subcommand}\s+\S", done.stdout, re.M), subcommand


def test_version(tmp_path):
    assert re.fullmatch(r"hearth \d+\.\d+\.\d+\S*\n", run(tmp_path, "--version").stdout)


@pytest.mark.parametrize("words, wanted", [
    (["serve", "--prot", "3"], "--prot"), (["serv"], "serv"), ([], "subcommand"), (["bench"], "subcommand"),
    (["pull"], "source"), (["bench", "llm"], "--model"), (["--log-level", "loud", "models"], "loud"),
    (["bench", "llm", "-m", "x", "--repeat", "0"], "--repeat"),
    (["bench", "llm", "-m", "x", "--quality", "--chunk", "0"], "--chunk"),
    (["bench", "llm", "-m", "x", "--quality", "--chunk", "2"], "--chunk"),
    (["bench", "llm", "-m", "x", "--quality", "--kl-tokens", "0"], "--kl-tokens"),
    (["bench", "llm", "-m", "x", "--threads", "-1"], "--threads"),
    (["chat", "--temperature", "-1"], "--temperature"), (["chat", "--temperature", "2.5"], "--temperature"),
    (["chat", "--max-tokens", "-3"], "--max-tokens"), (["chat", "--max-tokens", "0"], "--max-tokens"),
])
def test_wrong_usage_is_exit_code_2_and_says_what(tmp_path, words, wanted):
    done = run(tmp_path, *words)
    assert done.returncode == 2 and wanted in done.stderr, done
    assert done.stdout == ""


# --- config ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--config", "mine.toml", "config", "check"],
                                   ["config", "check", "--config", "mine.toml"],
                                   ["config", "--config", "mine.toml", "check"]])
def test_config_check_names_file_line_and_nearest_key(tmp_path, words):
    (tmp_path / "mine.toml").write_text('[server]\nprot = 3\n\n[llm]\nparallel = "x"\n[modles."a"]\npath = "b"\n')
    done = run(tmp_path, *words)
    assert done.returncode == 2
    assert "mine.toml:2" in done.stderr and "'prot', did you mean 'port'?" in done.stderr
    assert "mine.toml:5" in done.stderr and "1 to 1024" in done.stderr
    assert "did you mean 'models'?" in done.stderr


def test_config_check_of_good_bad_and_missing_files(tmp_path):
    assert "defaults" in run(tmp_path, "config", "check").stdout
    (tmp_path / "hearth.toml").write_text("[server]\nport = 9000\n")
    good = run(tmp_path, "config", "check")
    assert good.returncode == 0 and "hearth.toml: ok" in good.stdout
    (tmp_path / "hearth.toml").write_text("[server\nport = 9000\n")
    assert "hearth.toml:1" in run(tmp_path, "config", "check").stderr
    missing = run(tmp_path, "--config", "none.toml", "config", "check")
    assert missing.returncode != 0 and "none.toml" in missing.stderr


def test_config_show_tells_the_origin_and_masks_the_key(tmp_path):
    (tmp_path / "hearth.toml").write_text('[server]\napi_key = "very-secret"\nport = 9000\n')
    (tmp_path / ".env").write_text("HEARTH_LLM_PARALLEL=3\n")
    shown = run(tmp_path, "config", "show").stdout
    assert "very-secret" not in shown
    assert re.search(r"port\b.*9000.*hearth\.toml", shown) and re.search(r"parallel\b.*3.*\.env", shown)


def test_the_example_configuration_is_valid(tmp_path):
    example = run(tmp_path, "config", "example").stdout
    (tmp_path / "hearth.toml").write_text(example)
    done = run(tmp_path, "config", "check")
    assert done.returncode == 0, done.stderr
    uncommented = re.sub(r"^# ?(\w+ = )", r"\1", example, flags=re.M)
    assert "port = 8188" in uncommented


def test_an_unknown_variable_is_an_error(tmp_path):
    words = [program(), "config", "check"]
    done = subprocess.run(words, cwd=tmp_path, env={**environment(tmp_path), "HEARTH_SERVR_PORT": "9"},
                          capture_output=True, text=True)
    assert done.returncode == 2 and "did you mean 'HEARTH_SERVER_PORT'?" in done.stderr, done
    (tmp_path / ".env").write_text("# mine\nHEARTH_CONFG=x.toml\n")
    done = run(tmp_path, "config", "check")
    assert done.returncode == 2 and ".env:2" in done.stderr and "'HEARTH_CONFIG'" in done.stderr, done
    (tmp_path / ".env").write_text("HEARTH_CACHE=/tmp\nHEARTH_TEST_X=1\nOTHER=1\n")
    assert run(tmp_path, "config", "check").returncode == 0


def test_config_check_looks_at_what_is_named(tmp_path):
    (tmp_path / "bad.jinja").write_text("{% if %}")
    (tmp_path / "hearth.toml").write_text("\n".join([
        '[llm]', 'default_model = "nobody"',
        '[models."one"]', 'path = "/no/such/model.gguf"', 'alias = ["uno"]', 'chat_template = "none.jinja"',
        '[models."two"]', f'path = "{model_file("smollm2")}"', 'chat_template = "bad.jinja"',
        '[models."three"]', 'keep_alive = "1h"']))
    done = run(tmp_path, "config", "check")
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and done.stdout == "" and len(lines) == 5, done
    for wanted in (("hearth.toml:2: llm.default_model 'nobody'", "one, three, two, uno"),
                   ("hearth.toml:4: models.\"one\".path '/no/such/model.gguf'", ".gguf file"),
                   ("hearth.toml:6: models.\"one\".chat_template", "none.jinja", "Jinja file"),
                   ("hearth.toml:9: models.\"two\".chat_template", "bad.jinja", "does not parse"),
                   ("models.\"three\"", "hearth pull", "--as three")):
        assert any(all(part in line for part in wanted) for line in lines), (wanted, lines)


def test_config_check_knows_aliases_and_the_store(store):
    (store / "other.toml").write_text('[models."tiny"]\nalias = ["little"]\n[llm]\ndefault_model = "little"\n')
    done = run(store, "--config", "other.toml", "config", "check")
    assert done.returncode == 0, done.stderr


def test_config_check_looks_at_pictures_and_presets(tmp_path):
    (tmp_path / "pics/checkpoints").mkdir(parents=True)
    (tmp_path / "pics/checkpoints/sdxl-base.safetensors").write_bytes(b"")
    (tmp_path / "file").write_text("")
    (tmp_path / "hearth.toml").write_text("\n".join([
        '[pictures]', 'default_model = "sdxl-bse"', 'default_preset = "ballanced"', 'models_dir = "pics"',
        'output_dir = "file/out"', 'attention = "sage"', 'vae_tile = 100', 'frontend = "pics"',
        '[presets.mine]', 'sampler = "eulr"', 'scheduler = "karas"', 'attention = "flash"', 'width = 100',
        '[presets.quality]', 'steps = 40']))
    done = run(tmp_path, "config", "check")
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == 10, done
    for wanted in (("hearth.toml:2: pictures.default_model 'sdxl-bse'", "did you mean 'sdxl-base'?"),
                   ("hearth.toml:3: pictures.default_preset 'ballanced'", "did you mean 'balanced'?"),
                   ("hearth.toml:5: pictures.output_dir", "is no folder"),
                   ("hearth.toml:6: pictures.attention 'sage'", "auto, tiled, exact"),
                   ("hearth.toml:7: pictures.vae_tile '100'", "a multiple of 32"),
                   ("hearth.toml:8: pictures.frontend", "no index.html"),
                   ("hearth.toml:10: presets.\"mine\".sampler 'eulr'", "did you mean 'euler'?"),
                   ("hearth.toml:11: presets.\"mine\".scheduler 'karas'", "did you mean 'karras'?"),
                   ("hearth.toml:12: presets.\"mine\".attention 'flash'", "auto, tiled, exact"),
                   ("hearth.toml:13: presets.\"mine\".width '100'", "multiple of 8")):
        assert any(all(part in line for part in wanted) for line in lines), (wanted, lines)


def test_config_check_looks_for_the_picture_model(tmp_path):
    (tmp_path / "pics/checkpoints").mkdir(parents=True)
    (tmp_path / "pics/checkpoints/sdxl-base.safetensors").write_bytes(b"")
    (tmp_path / "hearth.toml").write_text('[pictures]\nmodels_dir = "pics"\ndefault_model = "sdxl-bse"\n')
    done = run(tmp_path, "config", "check")
    assert done.returncode == 2 and "hearth.toml:3: pictures.default_model 'sdxl-bse'" in done.stderr, done
    assert "did you mean 'sdxl-base'?" in done.stderr
    (tmp_path / "hearth.toml").write_text('[pictures]\nmodels_dir = "pics"\ndefault_model = "sdxl-base"\n')
    assert run(tmp_path, "config", "check").returncode == 0
    (tmp_path / "hearth.toml").write_text('[pictures]\ncomfyui_dir = "nowhere"\nextra_model_paths = "none.yaml"\n')
    done = run(tmp_path, "config", "check")
    assert "comfyui_dir" in done.stderr and "extra_model_paths" in done.stderr and done.returncode == 2, done


def test_config_get_prints_one_value_as_it_is(tmp_path):
    (tmp_path / "hearth.toml").write_text('[server]\nport = 9000\n')
    (tmp_path / ".env").write_text("HEARTH_SERVER_API_KEY=very-secret\n")
    assert run(tmp_path, "config", "get", "server.port").stdout == "9000\n"
    assert run(tmp_path, "config", "get", "server.api_key").stdout == "very-secret\n"
    wrong = run(tmp_path, "config", "get", "server.prot")
    assert wrong.returncode == 2 and "'server.port'" in wrong.stderr and wrong.stdout == ""


@pytest.mark.parametrize("key", ["", "very-secret"])
def test_the_first_question_is_asked_with_the_configured_key(tmp_path, key):
    (tmp_path / ".env").write_text(f"HEARTH_SERVER_API_KEY={key}\n")
    with Hearth(tmp_path, profile("smollm2", model_file("smollm2"))) as server:
        asked = subprocess.run([ROOT / "tools/ask.sh", program(), str(server.port)], cwd=tmp_path,
                               env=environment(tmp_path), capture_output=True, text=True, timeout=60)
    assert asked.returncode == 0 and "tokens/s" in asked.stdout, asked
    assert "very-secret" not in asked.stdout + asked.stderr


@pytest.mark.parametrize("device", ["cuda:x", "cudax", "cuda:", "cuda:-1", "cuda:1x", "gpu", ""])
def test_a_device_that_is_none_is_refused(tmp_path, device):
    done = run(tmp_path, "serve", "--device", device)
    assert done.returncode == 2 and f"--device {device}: expected auto, cpu, cuda or cuda:N" in done.stderr, done


def test_every_command_refuses_a_broken_configuration(tmp_path):
    (tmp_path / "hearth.toml").write_text("[server]\nprot = 3\n")
    for words in (["serve"], ["chat", "-p", "x"], ["models"], ["pull", "file:x"], ["bench", "llm", "-m", "x"]):
        done = run(tmp_path, *words)
        assert done.returncode == 2 and "'port'" in done.stderr, (words, done)


# --- pull and models -------------------------------------------------------------------------------------------------


def test_pull_a_file_and_serve_it(tmp_path):
    done = run(tmp_path, "pull", f"file:{model_file('smollm2')}", "--as", "copied")
    assert done.returncode == 0 and "copied" in done.stdout, done.stderr
    listed = run(tmp_path, "models").stdout
    assert re.search(r"^copied +\d+\.\d MiB", listed, re.M), listed
    shown = run(tmp_path, "models", "show", "copied").stdout
    assert re.search(r"sha256 [0-9a-f]{64}", shown)
    with Hearth(tmp_path) as server:
        assert [model["id"] for model in json.loads(server.request("GET", "/v1/models")[2])["data"]] == ["copied"]
        status, answer = server.post("/v1/completions", prompt="The capital of France is", max_tokens=1, temperature=0)
        assert status == 200 and answer["choices"][0]["text"] == " Paris"
    again = run(tmp_path, "pull", f"file:{model_file('smollm2')}", "--as", "copied")
    assert again.returncode != 0 and "--replace" in again.stderr
    removed = run(tmp_path, "models", "remove", "copied")
    assert removed.returncode == 0 and "copied" not in run(tmp_path, "models").stdout
    assert model_file("smollm2").exists() and not list((tmp_path / "models").rglob("*.gguf"))


def test_models_that_are_not_there(tmp_path):
    assert "hearth pull" in run(tmp_path, "models").stdout
    for words in (["models", "show", "nobody"], ["models", "remove", "nobody"], ["chat", "-m", "nobody", "-p", "x"],
                  ["bench", "llm", "-m", "nobody"], ["pull", "file:nobody.gguf"]):
        done = run(tmp_path, *words)
        assert done.returncode == 1 and "nobody" in done.stderr, (words, done)


def test_removing_a_linked_model_keeps_the_file(tmp_path):
    assert run(tmp_path, "pull", model_file("smollm2"), "--as", "linked", "--link").returncode == 0
    assert run(tmp_path, "models", "remove", "linked").returncode == 0
    assert model_file("smollm2").exists()


# --- chat ------------------------------------------------------------------------------------------------------------


def test_chat_answers_what_the_server_answers(store):
    words = ["chat", "-p", "Name a colour.", "--temperature", "0", "--max-tokens", "16"]
    told = run(store, *words)
    assert told.returncode == 0, told.stderr
    with Hearth(store) as server:
        body = {"messages": [{"role": "user", "content": "Name a colour."}], "temperature": 0, "max_tokens": 16}
        answer = server.post("/v1/chat/completions", **body)[1]
    assert told.stdout == answer["choices"][0]["message"]["content"] + "\n"
    with_system = run(store, *words, "-s", "You are a pirate who hates colours.")
    assert with_system.returncode == 0 and with_system.stdout != told.stdout


def test_chat_seeds_repeat(store):
    words = ["chat", "-m", "tiny", "-p", "Tell me a story.", "--max-tokens", "24", "--temperature", "1", "--seed"]
    assert run(store, *words, "1").stdout == run(store, *words, "1").stdout != run(store, *words, "2").stdout


def test_chat_reads_turns_from_standard_input(store):
    done = run(store, "chat", "--temperature", "0", "--max-tokens", "8", stdin="Hello\n\nAnd again?\n/exit\nnever\n")
    assert done.returncode == 0 and len(done.stdout.strip().splitlines()) >= 2


def test_chat_takes_the_default_model(tmp_path):
    config = profile("gemma3", model_file("gemma3")) + profile("smollm2", model_file("smollm2"))
    (tmp_path / "hearth.toml").write_text(config + '[llm]\ndefault_model = "smollm2"\n')
    done = run(tmp_path, "chat", "-p", "Hi", "--max-tokens", "4")
    assert done.returncode == 0, done.stderr  # gemma3, the first one, has no chat template
    other = run(tmp_path, "chat", "-m", "gemma3", "-p", "Hi", "--max-tokens", "4")
    assert other.returncode == 1 and "no chat template" in other.stderr


def test_interrupting_an_answer_ends_chat(store):
    chat = subprocess.Popen([program(), "chat", "-p", "Tell me a very long story.", "--temperature", "1"], cwd=store,
                            env=environment(store), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert os.read(chat.stdout.fileno(), 1)
    chat.send_signal(signal.SIGINT)
    _, errors = chat.communicate(timeout=20)
    assert chat.returncode == 0, errors


# --- bench -----------------------------------------------------------------------------------------------------------


def test_bench_prints_json_with_figures(store):
    done = run(store, "bench", "llm", "-m", "tiny", "--prompt", "64", "--generate", "8", "--repeat", "2", "--json",
               "--device", "cpu", "--threads", "1")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["model"], result["threads"], result["prompt_tokens"]) == ("tiny", 1, 64)
    assert len(result["prefill_runs"]) == len(result["decode_runs"]) == 2
    assert result["prefill_tps"] > 1 and result["decode_tps"] > 1
    assert result["peak_rss_bytes"] > result["weights_bytes"] > 80e6 and result["state_bytes"] > 0
    assert 0 < result["load_s"] < result["first_token_s"]


def test_bench_of_loading_alone(store):
    done = run(store, "bench", "llm", "-m", "tiny", "--load-only", "--json", "--device", "cpu", "--threads", "1")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["peak_rss_bytes"] > result["weights_bytes"] > 80e6 and result["read_bytes"] > 80e6
    assert 0 < result["read_s"] <= result["load_s"] and "decode_tps" not in result


def test_bench_of_a_disk(store):
    done = run(store, "bench", "disk", model_file("smollm2"), "--dd", "--json", "--depth", "8", "--block", "1MiB")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["bytes"] == model_file("smollm2").stat().st_size and result["block_bytes"] == 1 << 20
    assert result["gib_per_s"] == pytest.approx(result["bytes"] / result["seconds"] / 2**30)
    assert result["dd_gib_per_s"] > 0 and result["depth"] == 8
    shown = run(store, "bench", "disk", model_file("smollm2"))
    assert re.search(r"^\d+\.\d\d GiB/s  9\d\.\d MiB in [\d.]+ s, .*, 32 reads of 4\.0+ MiB at once$", shown.stdout,
                     re.M), shown.stdout
    for words, said in ((["--block", "5000"], "4 KiB"), (["--depth", "0"], "--depth")):
        refused = run(store, "bench", "disk", model_file("smollm2"), *words)
        assert refused.returncode == 2 and said in refused.stderr, refused
    missing = run(store, "bench", "disk", "nobody.gguf")
    assert missing.returncode == 1 and "nobody.gguf" in missing.stderr, missing


def test_bench_prints_a_table(store):
    done = run(store, "bench", "llm", "-m", model_file("smollm2"), "--prompt", "8", "--generate", "4", "--repeat", "1",
               "--parallel", "2")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^decode_tps +[\d.]+$", done.stdout, re.M) and re.search(r"^weights_bytes +9\d\.\d+ MiB$",
                                                                                done.stdout, re.M)


def test_bench_quality(store):
    text = store / "text.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. The sun rises in the east and sets in the west. " * 6)
    done = run(store, "bench", "llm", "-m", "tiny", "--quality", "--text", text, "--chunk", "64", "--kl-tokens", "64",
               "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert 1 < result["perplexity"] < 30 and result["scored_tokens"] > 40
    assert 0 <= result["mean_kl_nats"] < 0.2 and result["same_top"] > 0.8
    assert run(store, "bench", "llm", "-m", "tiny", "--quality").returncode == 2


def test_bench_quality_without_a_scored_position_is_an_error(store):
    text = store / "short.txt"
    text.write_text("The quick brown fox. " * 8)
    words = ["bench", "llm", "-m", "tiny", "--quality", "--text", text]
    short = run(store, *words)
    assert short.returncode == 2 and "--chunk" in short.stderr and "512" in short.stderr and short.stdout == "", short
    few = run(store, *words, "--chunk", "16", "--kl-tokens", "8")
    assert few.returncode == 2 and "--kl-tokens 8" in few.stderr and few.stdout == "", few
    wide = run(store, *words, "--chunk", "100000")
    assert wide.returncode == 2 and "context" in wide.stderr, wide


def test_words_are_served_where_pictures_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with Hearth(tmp_path, f'[pictures]\nuser_dir = "{tmp_path}/file/user"\n') as server:
        assert any("pictures are off" in line and "file/user" in line for line in server.log)
        assert server.request("GET", "/v1/models")[0] == 200 and server.request("GET", "/prompt")[0] == 404
    with Hearth(tmp_path / "one", "") as first:
        assert first.request("GET", "/prompt")[0] == 200
        with Hearth(tmp_path / "one", "") as second:  # the queue is the first one's
            assert any("pictures are off" in line for line in second.log)
            assert second.request("GET", "/v1/models")[0] == 200
        assert first.request("GET", "/prompt")[0] == 200
