"""The real openai client against the server over a scripted engine: plain, streamed, async, errors, hang-ups."""
import asyncio
import http.client
import json
import re

import openai
import pytest

from fake_server import FakeServer

HI = [{"role": "user", "content": "hi"}]
TEXT = "Hello from the script."


@pytest.fixture(scope="module")
def server():
    running = FakeServer()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0) as made:
        yield made


def metric(server, name):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M).group(1))


def test_plain_chat(client):
    answer = client.chat.completions.create(model="scripted", messages=HI)
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 5, 12)
    assert answer.usage.prompt_tokens_details.cached_tokens == 3
    assert answer.timings["predicted_per_second"] == 2.5


def test_limits_stop_and_choices(client):
    short = client.chat.completions.create(model="scripted", messages=HI, max_tokens=2, n=2)
    assert [c.message.content for c in short.choices] == ["Hello from"] * 2
    assert [c.finish_reason for c in short.choices] == ["length"] * 2
    stopped = client.chat.completions.create(model="scripted", messages=HI, stop=[" the"])
    assert stopped.choices[0].message.content == "Hello from" and stopped.choices[0].finish_reason == "stop"


def test_streamed_chat(client):
    chunks = list(client.chat.completions.create(model="scripted", messages=HI, stream=True, n=2,
                                                 stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    for index in (0, 1):
        mine = [c.choices[0] for c in chunks if c.choices and c.choices[0].index == index]
        assert "".join(c.delta.content or "" for c in mine) == TEXT
        assert [c.finish_reason for c in mine if c.finish_reason] == ["stop"]
    assert all(c.usage is None for c in chunks[:-1])
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 10
    assert len({c.id for c in chunks}) == 1


def test_stream_without_usage_ends_with_timings(client):
    chunks = list(client.chat.completions.create(model="scripted", messages=HI, stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].timings["prompt_per_second"] == 8.0
    assert all(c.usage is None for c in chunks)


def test_stream_helper_accumulates(client):
    with client.chat.completions.stream(model="scripted", messages=HI) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == TEXT


def test_chat_logprobs(client):
    answer = client.chat.completions.create(model="scripted", messages=HI, logprobs=True, top_logprobs=2)
    tokens = answer.choices[0].logprobs.content
    assert "".join(t.token for t in tokens) == TEXT
    assert bytes(tokens[1].bytes) == b" from"
    assert [t.token for t in tokens[0].top_logprobs] == ["Hello", "alt1"]


def test_completions(client):
    answer = client.completions.create(model="scripted", prompt="Say: ", echo=True, logprobs=1)
    assert answer.choices[0].text == "Say: " + TEXT
    assert answer.choices[0].logprobs.text_offset[:3] == [0, 5, 10]
    streamed = client.completions.create(model="scripted", prompt=[1, 2, 3], stream=True)
    assert "".join(c.choices[0].text for c in streamed) == TEXT


def test_models(client):
    models = client.models.list().data
    assert models[0].id == "scripted" and models[0].context_length == 4096
    assert client.models.retrieve("org/scripted").id == "scripted"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


@pytest.mark.parametrize("model, kind, code", [
    ("nobody", openai.NotFoundError, "model_not_found"),
    ("busy", openai.RateLimitError, "busy"),
    ("too-long", openai.BadRequestError, "context_length_exceeded"),
    ("no-memory", openai.InternalServerError, "no_memory"),
    ("internal", openai.InternalServerError, "internal"),
    ("cancelled", openai.APIStatusError, "cancelled"),
])
@pytest.mark.parametrize("stream", [False, True])
def test_errors_have_their_class_and_code(client, model, kind, code, stream):
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=model, messages=HI, stream=stream)
    assert caught.value.code == code
    assert caught.value.request_id


def test_bad_fields_name_the_field(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="scripted", messages=HI, temperature=5)
    assert caught.value.param == "temperature" and "from 0 to 2" in caught.value.message
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="scripted", messages=HI, tool_choice="required",
                                       tools=[{"type": "function", "function": {"name": "f"}}])
    assert caught.value.code == "unsupported"


def test_an_error_mid_stream_is_raised(client):
    got = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(model="midway", messages=HI, stream=True):
            got.append(chunk.choices[0].delta.content)
    assert got == ["", "Hello", " from"]
    assert "the device is gone" in str(caught.value)


def test_a_busy_server_is_retried(server):
    before = metric(server, "hearth_requests_total")
    with openai.OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=1) as patient:
        with pytest.raises(openai.RateLimitError):
            patient.chat.completions.create(model="busy", messages=HI)
    assert metric(server, "hearth_requests_total") == before + 2


def test_leaving_a_stream_cancels(server, client):
    before = metric(server, "hearth_requests_cancelled_total")
    with client.chat.completions.create(model="slow", messages=HI, stream=True) as stream:
        assert next(stream).choices[0].delta.role == "assistant"
    for _ in range(10000):
        if metric(server, "hearth_requests_cancelled_total") == before + 1:
            break
    assert metric(server, "hearth_requests_cancelled_total") == before + 1


def test_async_requests_beside_each_other(server):
    async def one(client, index):
        if index % 2:
            answer = await client.chat.completions.create(model="scripted", messages=HI)
            return answer.choices[0].message.content
        stream = await client.chat.completions.create(model="scripted", messages=HI, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0) as client:
            return await asyncio.gather(*(one(client, i) for i in range(40)))

    assert asyncio.run(all_of_them()) == [TEXT] * 40


def test_api_key():
    guarded = FakeServer("--api-key", "secret")
    try:
        with openai.OpenAI(base_url=guarded.url + "/v1", api_key="wrong", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                client.models.list()
            assert caught.value.code == "invalid_api_key"
        with openai.OpenAI(base_url=guarded.url + "/v1", api_key="secret", max_retries=0) as client:
            assert client.models.list().data
    finally:
        guarded.stop()


def test_raw_envelope_of_a_missing_route(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/v1/nothing")
    answer = connection.getresponse()
    assert answer.status == 404
    assert json.loads(answer.read())["error"]["code"] == "route_not_found"
    connection.close()
