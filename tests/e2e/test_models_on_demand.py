"""Which models are there, when they are loaded and when they leave: names, budget, keep_alive, pin."""
import json
import threading

import openai
import pytest

from hearth_process import CHAT, COMPLETIONS, Hearth, model_file, profile, until

HI = [{"role": "user", "content": "hi"}]


def both(*, more=""):
    return profile("smollm2", model_file("smollm2")) + profile("gemma3", model_file("gemma3")) + more


def ask(server, model):
    return server.post(COMPLETIONS, model=model, prompt="One two three", max_tokens=2, temperature=0)


def test_context_and_architecture_are_known_before_a_model_is_loaded(tmp_path):
    with Hearth(tmp_path, both()) as server:
        models = {model["id"]: model for model in json.loads(server.request("GET", "/v1/models")[2])["data"]}
        assert [models[name]["context_length"] for name in ("smollm2", "gemma3")] == [8192, 8192]
        assert models["gemma3"]["meta"]["architecture"] == "gemma3" and not models["gemma3"]["meta"]["is_loaded"]
        status, _, body = server.request("GET", "/v1/models/smolm2")
        assert status == 404 and "gemma3, smollm2" in json.loads(body)["error"]["message"]


def test_models_are_listed_with_context_and_aliases(client):
    for name in ("smollm2", "gemma3"):
        client.completions.create(model=name, prompt="hi", max_tokens=1)
    models = {model.id: model for model in client.models.list().data}
    assert set(models) == {"smollm2", "gemma3"}
    assert models["smollm2"].context_length == models["gemma3"].context_length == 8192
    assert models["smollm2"].meta["architecture"] == "llama" and models["gemma3"].meta["architecture"] == "gemma3"
    assert models["smollm2"].meta["aliases"] == ["tiny", "org/tiny"]
    assert all(model.meta["is_loaded"] and model.meta["resident_bytes"] > 50e6 for model in models.values())
    assert client.models.retrieve("org/tiny").id == "smollm2"


def test_an_alias_and_the_default_model_answer(server, client):
    direct = client.completions.create(model="smollm2", prompt="One two", max_tokens=4, temperature=0)
    for name in ("tiny", "org/tiny"):
        answer = client.completions.create(model=name, prompt="One two", max_tokens=4, temperature=0)
        assert (answer.model, answer.choices[0].text) == ("smollm2", direct.choices[0].text)
    status, unnamed = server.post(COMPLETIONS, prompt="One two", max_tokens=4, temperature=0)
    assert (status, unnamed["model"]) == (200, "smollm2")


def test_a_request_without_a_model_needs_a_default_or_a_single_one(tmp_path):
    with Hearth(tmp_path / "two", both()) as server:
        status, error = server.error(COMPLETIONS, prompt="hi", max_tokens=1)
        assert status == 400 and error["param"] is None
        assert all(word in error["message"] for word in ("llm.default_model", "smollm2", "gemma3"))
    with Hearth(tmp_path / "one", profile("smollm2", model_file("smollm2"))) as server:
        assert server.post(COMPLETIONS, prompt="hi", max_tokens=1)[0] == 200
    with Hearth(tmp_path / "none") as server:
        status, error = server.error(CHAT, messages=HI)
        assert status == 404 and "hearth pull" in error["message"]


def test_a_default_model_that_does_not_exist_is_said_at_the_start(tmp_path):
    with Hearth(tmp_path, both(more='[llm]\ndefault_model = "smolm2"\n')) as server:
        assert any("default_model" in line and "smolm2" in line for line in server.log), server.log


def test_models_load_at_their_first_request(tmp_path):
    with Hearth(tmp_path, both()) as server:
        assert server.leases() == {} and not server.is_loaded("smollm2") and not server.is_loaded("gemma3")
        models = [threading.Thread(target=ask, args=(server, name)) for name in ("smollm2", "gemma3") * 2]
        for thread in models:
            thread.start()
        for thread in models:
            thread.join()
        assert server.is_loaded("smollm2") and server.is_loaded("gemma3")
        assert sum("loading smollm2 from" in line for line in server.log) == 1


def test_a_small_budget_makes_room_and_refuses_with_numbers(tmp_path):
    with Hearth(tmp_path / "free", both()) as server:
        ask(server, "smollm2")
        one = server.metrics()["hearth_memory_leased_bytes"]
        ask(server, "gemma3")
        two = server.metrics()["hearth_memory_leased_bytes"]
        expected = [ask(server, name)[1]["choices"][0]["text"] for name in ("smollm2", "gemma3")]
    larger = int(max(one, two - one)) + (16 << 20)
    assert larger < two
    with Hearth(tmp_path / "tight", both(more=f'[memory]\nbudget = "{larger >> 20}MiB"\n')) as server:
        for _ in range(2):
            for name, other, text in zip(("smollm2", "gemma3"), ("gemma3", "smollm2"), expected):
                status, answer = ask(server, name)
                assert status == 200 and answer["choices"][0]["text"] == text
                assert server.is_loaded(name) and not server.is_loaded(other)
                now = server.metrics()
                assert 0 < now["hearth_memory_leased_bytes"] <= now["hearth_memory_budget_bytes"]
    with Hearth(tmp_path / "none", both(more='[memory]\nbudget = "70MiB"\n')) as server:
        status, headers, _ = server.request("POST", COMPLETIONS, {"model": "smollm2", "prompt": "x"})
        assert status == 503 and int(headers["Retry-After"]) > 0
        status, error = server.error(COMPLETIONS, model="gemma3", prompt="x")
        assert error["code"] == "no_memory" and "70.0 MiB" in error["message"] and "memory.budget" in error["message"]
        assert server.leases() == {} and server.is_quiet()


def test_a_model_is_idle_as_soon_as_its_answer_is_there(tmp_path):
    # Both do not fit; a request sent right behind the other model's answer must find room every time.
    with Hearth(tmp_path, both(more='[llm]\ncontext = 64\n[memory]\nbudget = "300MiB"\n')) as server:
        names = ["smollm2", "gemma3"] * 12
        assert [ask(server, name)[0] for name in names] == [200] * len(names)
        assert sum("unloaded" in line for line in server.log) == len(names) - 1


def test_a_busy_model_is_not_unloaded_for_another(tmp_path):
    with Hearth(tmp_path / "free", both()) as server:
        ask(server, "gemma3")
        budget = int(server.metrics()["hearth_memory_leased_bytes"]) + (16 << 20)
    with Hearth(tmp_path / "tight", both(more=f'[memory]\nbudget = "{budget >> 20}MiB"\n')) as server:
        with server.client() as client:
            with client.completions.create(model="smollm2", prompt="Once", max_tokens=2000, stream=True,
                                           extra_body={"ignore_eos": True}) as stream:
                next(stream)
                status, error = server.error(COMPLETIONS, model="gemma3", prompt="x")
                assert status == 503 and "smollm2" in error["message"]
                assert next(stream).choices[0].finish_reason is None
        assert until(server.is_quiet)
        assert ask(server, "gemma3")[0] == 200


def test_keep_alive_unloads_and_the_next_request_loads_again(tmp_path):
    config = profile("smollm2", model_file("smollm2"), 'keep_alive = "0s"') + profile("gemma3", model_file("gemma3"))
    with Hearth(tmp_path, config) as server:
        first = ask(server, "smollm2")[1]["choices"]
        ask(server, "gemma3")
        assert until(lambda: not server.is_loaded("smollm2"))
        assert server.is_loaded("gemma3") and not any("smollm2" in name for name in server.leases())
        assert ask(server, "smollm2")[1]["choices"] == first


def test_a_pinned_model_is_loaded_at_the_start_and_stays(tmp_path):
    config = profile("smollm2", model_file("smollm2"), "pin = true", 'keep_alive = "0s"') + profile(
        "gemma3", model_file("gemma3"))
    with Hearth(tmp_path / "a", config) as server:
        assert server.is_loaded("smollm2") and not server.is_loaded("gemma3")
        budget = int(server.metrics()["hearth_memory_leased_bytes"])
    with Hearth(tmp_path / "b", config + f'[memory]\nbudget = "{(budget >> 20) + 64}MiB"\n') as server:
        assert server.error(COMPLETIONS, model="gemma3", prompt="x")[0] == 503
        assert server.is_loaded("smollm2")


def test_sampling_defaults_of_a_profile(tmp_path):
    config = profile("smollm2", model_file("smollm2"), "temperature = 0", "context = 128")
    with Hearth(tmp_path, config) as server:
        texts = {server.post(COMPLETIONS, prompt="The sky", max_tokens=12)[1]["choices"][0]["text"] for _ in range(4)}
        assert len(texts) == 1
        assert server.post(COMPLETIONS, prompt="The sky")[1]["usage"]["total_tokens"] == 128
        with server.client() as client, pytest.raises(openai.BadRequestError) as caught:
            client.completions.create(model="smollm2", prompt="word " * 200)
        assert "128" in caught.value.message
