"""Clients that leave, signals, full queues, foreign callers and bad requests against the real program."""
import concurrent.futures
import http.client
import json
import re
import select
import signal
import socket
import subprocess
import time

import pytest

from hearth_process import (CHAT, COMPLETIONS, Hearth, RawStream, environment, free_port, model_file, profile, program,
                            run, until)
from slow_model import write_slow_model

HI = [{"role": "user", "content": "Tell me a long story."}]
ENDLESS = {"model": "smollm2", "prompt": "Once upon a time", "max_tokens": 8000, "ignore_eos": True}


def one_model(*lines, more=""):
    return profile("smollm2", model_file("smollm2"), *lines) + more


# --- clients that leave ----------------------------------------------------------------------------------------------


def first_to_hear(clients, wanted):
    """What the first client heard that heard `wanted`; which of them runs first is the server's choice."""
    heard = {client.socket: b"" for client in clients}
    while ready := select.select(list(heard), [], [], 60)[0]:
        for socket_ in ready:
            heard[socket_] += socket_.recv(65536)
            if wanted in heard[socket_]:
                return heard[socket_]
    return b""


def test_two_hundred_hang_ups_leave_nothing(tmp_path):
    with Hearth(tmp_path, one_model(more="[server]\nmax_queue = 1000\n")) as server:
        assert server.post(COMPLETIONS, **{**ENDLESS, "max_tokens": 2})[0] == 200
        leases, descriptors = server.leases(), server.metrics()["hearth_open_descriptors"]
        clients = []
        for i in range(200):
            body = dict(ENDLESS, prompt=f"Story number {i} begins", n=1 + i % 3)
            path = COMPLETIONS
            if i % 4 == 1:
                path, body = CHAT, {"model": "smollm2", "messages": HI, "max_tokens": 8000, "ignore_eos": True}
            clients.append(RawStream(server, path, body))
            if i % 5 == 0:
                clients[-1].reset()  # before a single byte came back
        alive = [client for i, client in enumerate(clients) if i % 5]
        assert b'"text":' in first_to_hear(alive, b'"text":')
        assert server.metrics()["hearth_requests_running"] > 0
        for i, client in enumerate(alive):
            client.reset() if i % 2 else client.hang_up()
        assert until(server.is_quiet), server.metrics()
        now = server.metrics()
        assert now["hearth_requests_cancelled_total"] > 150
        assert server.leases() == leases
        assert until(lambda: server.metrics()["hearth_open_descriptors"] <= descriptors)
        assert server.post(COMPLETIONS, **{**ENDLESS, "max_tokens": 2})[0] == 200


def test_a_client_that_leaves_during_a_long_prompt(tmp_path):
    with Hearth(tmp_path, one_model()) as server:
        assert server.post(COMPLETIONS, **{**ENDLESS, "max_tokens": 1})[0] == 200
        steps = server.metrics()["hearth_steps_total"]
        client = RawStream(server, COMPLETIONS, dict(ENDLESS, prompt="word " * 7000))
        assert until(lambda: server.metrics()["hearth_steps_total"] > steps + 1)
        client.hang_up()
        begun = time.monotonic()
        assert until(server.is_quiet)
        assert time.monotonic() - begun < 3
        assert server.metrics()["hearth_requests_cancelled_total"] == 1


# --- signals and ports -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_streaming_ends_the_server_and_tells_the_client(tmp_path, how):
    server = Hearth(tmp_path, one_model())
    clients = [RawStream(server, COMPLETIONS, ENDLESS) for _ in range(4)]
    for client in clients:
        assert b"data: " in client.read_until(b"data: ")
    begun = time.monotonic()
    assert server.stop(how) == 0, server.log
    assert time.monotonic() - begun < 5
    for client in clients:
        end = client.read_all()
        assert b"the server is stopping" in end or b"[DONE]" in end, end[-300:]
    assert not any("bug" in line or " E " in line for line in server.log), server.log


def test_a_signal_lets_a_short_answer_end(tmp_path):
    server = Hearth(tmp_path, one_model())
    assert server.post(COMPLETIONS, **{**ENDLESS, "max_tokens": 1})[0] == 200
    client = RawStream(server, COMPLETIONS, dict(ENDLESS, max_tokens=40))
    client.read_until(b"data: ")
    assert server.stop() == 0
    assert client.read_all().rstrip().endswith(b"0") and any("completion_tokens=40" in line for line in server.log)


def test_a_signal_while_a_model_loads(tmp_path):
    server = Hearth(tmp_path, profile("gemma3", model_file("gemma3")))
    client = RawStream(server, COMPLETIONS, dict(ENDLESS, model="gemma3"))
    assert until(lambda: any("loading gemma3" in line for line in server.log))
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 5
    client.read_all()


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory):
    """A whole model whose load takes seconds on any machine: 6 GB of zeros that take no room on the disk."""
    return write_slow_model(tmp_path_factory.mktemp("slow") / "slow.gguf")


@pytest.mark.parametrize("lines, flags", [((), ("--preload", "slow")), (("pin = true",), ())])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_a_model_is_preloaded(tmp_path, slow_model, lines, flags, how):
    (tmp_path / "hearth.toml").write_text(profile("slow", slow_model, *lines))
    process = subprocess.Popen([program(), "serve", "--port", str(free_port()), "--device", "cpu", *flags],
                               cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
    with process:
        for line in process.stderr:
            if "loading slow from" in line:
                break
        begun = time.monotonic()
        process.send_signal(how)
        log = process.stderr.read()
        assert process.wait(timeout=60) == 0, log
    assert time.monotonic() - begun < 5
    assert "loading slow: given up" in log and "ready on" not in log, log


def test_a_signal_while_a_slow_model_loads_for_a_request(tmp_path, slow_model):
    server = Hearth(tmp_path, profile("slow", slow_model))
    client = RawStream(server, COMPLETIONS, dict(ENDLESS, model="slow"))
    assert until(lambda: any("loading slow" in line for line in server.log))
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 5
    assert b"the server is stopping" in client.read_all()
    assert any("loading slow: given up" in line for line in server.log), server.log


ENDLESS_WORD = "a" * 15_000_000


def test_a_prompt_far_beyond_the_context_costs_little(server):
    memory = server.memory_bytes("VmRSS")
    status, error = server.error(COMPLETIONS, model="smollm2", prompt=ENDLESS_WORD)
    assert status == 400 and error["code"] == "context_length_exceeded"
    assert re.search(r"at least \d+ tokens.*context of 8192", error["message"]), error
    leased = sum(server.leases().values())  # the model came meanwhile, its whole state included
    assert server.memory_bytes("VmHWM") - memory - leased < 100e6


def test_a_signal_while_a_giant_prompt_is_tokenised(tmp_path):
    # Many short words count as few tokens for as long as possible.
    server = Hearth(tmp_path, one_model("context = 8192"))
    client = RawStream(server, COMPLETIONS, dict(ENDLESS, prompt=" ".join(str(i * 7919) for i in range(1_500_000))))
    assert until(lambda: server.metrics()["hearth_requests_total"] == 1)
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 5
    client.read_all()


def test_every_log_line_about_a_request_names_it(tmp_path):
    with Hearth(tmp_path, one_model()) as server:
        for _ in range(2):
            assert server.post(COMPLETIONS, **{**ENDLESS, "max_tokens": 2, "colour": "blue"})[0] == 200
        headers = server.request("POST", COMPLETIONS, {**ENDLESS, "prompt": "word " * 9000})[1]
        id_ = headers["X-Request-Id"]
        assert until(lambda: any(f"request id={id_}" in line for line in server.log))
        lines = [line for line in server.log if "loading smollm2" in line or "loaded smollm2" in line or
                 any(word in line for word in ("generation", "request ", "field="))]
        assert len(lines) >= 8 and all(re.search(r" id=[0-9a-f]{16}\b", line) for line in lines), lines
        assert sum(id_ in line for line in lines) == 2, lines
        assert sum("field=colour" in line for line in server.log) == 1, server.log


def test_waiting_for_a_turn_counts_as_queue_time(tmp_path):
    with Hearth(tmp_path, one_model(more="[llm]\nparallel = 1\n")) as server:
        assert server.post(COMPLETIONS, **{**ENDLESS, "max_tokens": 1})[0] == 200
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(server.post, COMPLETIONS, **{**ENDLESS, "max_tokens": 60}) for _ in range(4)]
            timings = [future.result()[1]["timings"] for future in asked]
        longest = max(timings, key=lambda one: one["queue_ms"])
        assert longest["queue_ms"] > 2 * longest["prompt_ms"] > 0, timings
        waited = server.metrics()["hearth_queue_seconds_sum"] * 1000
        assert waited >= sum(one["queue_ms"] for one in timings) * 0.99


def test_two_servers_on_one_port(server, tmp_path):
    second = run(tmp_path, "serve", "--port", server.port)
    assert second.returncode == 1
    assert f"127.0.0.1:{server.port}" in second.stderr and "already in use" in second.stderr
    assert server.is_alive() and server.request("GET", "/health")[0] == 200


@pytest.mark.parametrize("flags, wanted", [
    (["--port", "99999"], "65535"), (["--port", "http"], "--port"),
    (["--host", "no.such.host.invalid"], "no.such.host"),
    (["--device", "tpu"], "auto, cpu, cuda"), (["-m", "/no/such/model.gguf"], "/no/such/model.gguf"),
    (["--preload", "nobody"], "nobody"),
])
def test_a_server_that_cannot_start_says_why(tmp_path, flags, wanted):
    done = run(tmp_path, "serve", *(flags if "--port" in flags else ["--port", 18188, *flags]))
    assert done.returncode in (1, 2) and wanted in done.stderr, done


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_full_queue_is_a_429_with_retry_after(tmp_path):
    with Hearth(tmp_path, one_model(more="[server]\nmax_queue = 2\n[llm]\nparallel = 2\n")) as server:
        clients = [RawStream(server, COMPLETIONS, ENDLESS) for _ in range(2)]
        for client in clients:
            client.read_until(b"data: ")  # two run
        clients += [RawStream(server, COMPLETIONS, ENDLESS) for _ in range(2)]
        assert until(lambda: server.metrics()["hearth_requests_waiting"] == 2)
        status, headers, data = server.request("POST", COMPLETIONS, ENDLESS)
        assert status == 429 and int(headers["Retry-After"]) >= 1
        assert json.loads(data)["error"]["code"] == "busy"
        for client in clients:
            client.hang_up()
        assert until(server.is_quiet)
        assert server.post(COMPLETIONS, **{**ENDLESS, "max_tokens": 1})[0] == 200


def test_no_queue_at_all_still_serves_what_can_run(tmp_path):
    with Hearth(tmp_path, one_model(more="[server]\nmax_queue = 0\n[llm]\nparallel = 1\n")) as server:
        assert server.post(COMPLETIONS, **{**ENDLESS, "max_tokens": 2})[0] == 200
        client = RawStream(server, COMPLETIONS, ENDLESS)
        client.read_until(b"data: ")
        assert server.post(COMPLETIONS, **ENDLESS)[0] == 429
        client.hang_up()
        assert until(server.is_quiet)


def test_requests_beyond_parallel_wait_and_are_answered(tmp_path):
    with Hearth(tmp_path, one_model(more="[llm]\nparallel = 2\n")) as server:
        body = {**ENDLESS, "max_tokens": 8, "temperature": 0}
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: server.post(COMPLETIONS, **body), range(12)))
        assert {status for status, _ in answers} == {200}
        assert len({answer["choices"][0]["text"] for _, answer in answers}) == 1


def test_more_sequences_than_pages_are_preempted_and_answer_the_same(tmp_path):
    # The state holds two whole contexts; four requests that each want most of one must take turns.
    with Hearth(tmp_path, one_model("context = 256")) as server:
        def ask(i):
            return server.post(COMPLETIONS, model="smollm2", prompt=f"Chapter {i}.", max_tokens=200, temperature=0,
                               ignore_eos=True)[1]["choices"][0]["text"]

        alone = [ask(i) for i in range(4)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            together = list(pool.map(ask, range(4)))
        assert together == alone
        assert server.metrics()["hearth_requests_preempted_total"] > 0


def test_requests_time_out(tmp_path):
    with Hearth(tmp_path, one_model(more='[server]\nrequest_timeout = "1s"\n')) as server:
        status, error = server.error(COMPLETIONS, **ENDLESS)
        assert (status, error["code"]) == (504, "timeout")
        streamed = RawStream(server, COMPLETIONS, ENDLESS).read_all()
        assert b'"code":"timeout"' in streamed and b"[DONE]" not in streamed
        assert until(server.is_quiet)


def test_a_body_over_the_limit_is_a_413(tmp_path):
    with Hearth(tmp_path, one_model(more='[server]\nmax_body = "64KiB"\n')) as server:
        fitting = server.request("POST", COMPLETIONS, {**ENDLESS, "max_tokens": 1, "metadata": {"x": "y" * 60000}})
        assert fitting[0] == 200
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.putrequest("POST", COMPLETIONS)
        connection.putheader("Content-Length", str(1 << 30))
        connection.endheaders()  # refused before the body is sent
        answer = connection.getresponse()
        assert answer.status == 413 and json.loads(answer.read())["error"]["code"] == "body_too_large"
        connection.close()


# --- who may call ----------------------------------------------------------------------------------------------------


def test_api_key(tmp_path):
    with Hearth(tmp_path, one_model(more='[server]\napi_key = "secret"\n')) as server:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"x-api-key": "secre"}):
            for method, path in (("GET", "/v1/models"), ("POST", CHAT), ("GET", "/metrics")):
                status, _, data = server.request(method, path, "{}", headers)
                assert status == 401 and json.loads(data)["error"]["code"] == "invalid_api_key"
        for headers in ({"Authorization": "Bearer secret"}, {"x-api-key": "secret"}):
            assert server.request("GET", "/v1/models", None, headers)[0] == 200
        assert server.request("GET", "/health")[0] == 200
        assert not any("secret" in line for line in server.log)


@pytest.mark.parametrize("headers, expected", [
    ({"Host": "evil.example"}, 403), ({"Host": "localhost"}, 200), ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403), ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:1"}, 403),
])
def test_foreign_hosts_and_pages(server, headers, expected):
    status, answered, data = server.request("GET", "/v1/models", None, headers)
    assert status == expected, data
    assert "Access-Control-Allow-Origin" not in answered
    if expected == 403:
        assert json.loads(data)["error"]["code"] == "forbidden"


def test_allowed_origins_get_cors(tmp_path):
    with Hearth(tmp_path, '[server]\nallowed_origins = ["https://chat.example.org"]\n') as server:
        status, headers, _ = server.request("GET", "/v1/models", None, {"Origin": "https://chat.example.org"})
        assert status == 200 and headers["Access-Control-Allow-Origin"] == "https://chat.example.org"
        assert server.request("GET", "/v1/models", None, {"Origin": "https://evil.example"})[0] == 403


# --- bad requests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["", "{", "[]", "nonsense", '{"model": "smollm2", "prompt": "\x01"}', "{}" * 2])
def test_invalid_json_is_a_400(server, body):
    status, _, data = server.request("POST", CHAT, body)
    assert status == 400 and json.loads(data)["error"]["message"]


@pytest.mark.parametrize("field, value", [
    ("temperature", 3), ("n", 9), ("max_tokens", -1), ("stop", 5), ("stream", "yes"), ("logit_bias", [1]),
    ("top_logprobs", 21), ("messages", []), ("messages", [{"role": "wizard", "content": "x"}]),
    ("response_format", {"type": "json_object"}),
])
def test_bad_fields_name_themselves(server, field, value):
    status, error = server.error(CHAT, **{"model": "smollm2", "messages": HI, "max_tokens": 1, field: value})
    assert status == 400 and field in (error["param"] or "") and field in error["message"], error


def test_garbage_on_the_socket(server):
    for data in (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 64, b"GET\r\n\r\n", b"\0" * 200000):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as wire:
            try:
                wire.sendall(data)
                wire.shutdown(socket.SHUT_WR)
                while wire.recv(65536):
                    pass
            except (ConnectionResetError, BrokenPipeError):
                pass
    assert server.request("GET", "/health")[0] == 200


# --- metrics ---------------------------------------------------------------------------------------------------------


def test_histograms_count_every_request(tmp_path):
    with Hearth(tmp_path, one_model()) as server:
        for _ in range(3):
            server.post(COMPLETIONS, **{**ENDLESS, "max_tokens": 5})
        now = server.metrics()
        assert now["hearth_requests_total"] == now["hearth_request_seconds_count"] == 3
        assert now["hearth_queue_seconds_count"] == now["hearth_first_token_seconds_count"] == 3
        assert now["hearth_token_seconds_count"] == 3 * 4 and now["hearth_generated_tokens_total"] == 15
        for name in ("queue", "first_token", "token", "request"):
            buckets = [value for key, value in now.items() if key.startswith(f"hearth_{name}_seconds_bucket")]
            assert buckets == sorted(buckets), f"{name}: buckets must be cumulative"
            assert buckets[-1] == now[f"hearth_{name}_seconds_count"]


def test_an_unused_server_holds_nothing(tmp_path):
    with Hearth(tmp_path, one_model()) as server:
        now = server.metrics()
        assert now["hearth_memory_leased_bytes"] == 0 and now["hearth_steps_total"] == 0
        assert server.memory_bytes("VmHWM") < 64 << 20
