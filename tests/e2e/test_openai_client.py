"""The real openai client against the real program and a real model: what is answered, and that it means something."""
import asyncio
import math

import gguf
import openai
import pytest

from hearth_process import CHAT, COMPLETIONS, model_file

ASK = [{"role": "user", "content": "Name three colours of the rainbow."}]
FRANCE = "The capital of France is"


@pytest.fixture(scope="module")
def vocabulary():
    """Token ids by the text of the file, where a blank is written as U+0120."""
    field = gguf.GGUFReader(model_file("smollm2")).fields["tokenizer.ggml.tokens"]
    return {bytes(field.parts[index]).decode(): number for number, index in enumerate(field.data)}


def complete(client, **more):
    asked = {"model": "smollm2", "prompt": FRANCE, "temperature": 0, "max_tokens": 8}
    return client.completions.create(**{**asked, **more})


def chat(client, **more):
    return client.chat.completions.create(**{"model": "smollm2", "messages": ASK, "temperature": 0, "max_tokens": 24,
                                             **more})


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_completion_knows_the_capital(client):
    answer = complete(client)
    assert "Paris" in answer.choices[0].text
    assert answer.object == "text_completion" and answer.model == "smollm2" and answer.id.startswith("cmpl-")


def test_chat_and_its_usage(client):
    answer = chat(client)
    assert answer.choices[0].message.role == "assistant"
    assert len(answer.choices[0].message.content) > 10
    usage = answer.usage
    assert usage.prompt_tokens > 10 and 0 < usage.completion_tokens <= 24
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert answer.timings["predicted_per_second"] > 0 and answer.timings["prompt_ms"] > 0


def test_the_system_message_reaches_the_model(client):
    plain = chat(client)
    told = chat(client, messages=[{"role": "system", "content": "You are a pirate. Answer in one word."}, *ASK])
    assert told.usage.prompt_tokens != plain.usage.prompt_tokens
    assert told.choices[0].message.content != plain.choices[0].message.content


@pytest.mark.parametrize("make, text_of", [
    (chat, lambda choice: choice.delta.content or ""),
    (complete, lambda choice: choice.text),
])
def test_streamed_text_is_the_plain_text(client, make, text_of):
    plain = make(client).choices[0]
    expected = plain.text if hasattr(plain, "text") else plain.message.content
    chunks = list(make(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(text_of(chunk.choices[0]) for chunk in chunks if chunk.choices) == expected
    assert sum(1 for chunk in chunks if chunk.choices and text_of(chunk.choices[0])) > 3, "it came in one piece"
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [
        plain.finish_reason]
    assert chunks[-1].choices == [] and chunks[-1].usage == make(client).usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_has_usage_only_when_asked(client):
    assert all(chunk.usage is None for chunk in chat(client, stream=True))


def test_async_plain_and_streamed(server):
    async def both():
        async with server.client(kind=openai.AsyncOpenAI) as client:
            async def streamed():
                chunks = await chat(client, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

            plain, pieces = await asyncio.gather(chat(client), streamed())
            return plain.choices[0].message.content, pieces

    plain, pieces = asyncio.run(both())
    assert plain == pieces != ""


def test_greedy_is_the_same_alone_and_in_company(server, client):
    prompts = [FRANCE, "Once upon a time", "def fibonacci(n):", "Water boils at", "The sun is", "My name is",
               "In the year 1999", "A list of fruits:"]
    alone = [complete(client, prompt=prompt, max_tokens=32).choices[0].text for prompt in prompts]

    async def together():
        async with server.client(kind=openai.AsyncOpenAI) as many:
            answers = await asyncio.gather(*(complete(many, prompt=prompt, max_tokens=32) for prompt in prompts * 2))
            return [answer.choices[0].text for answer in answers]

    assert asyncio.run(together()) == alone * 2
    assert len(set(alone)) == len(alone)


# --- where a text ends -----------------------------------------------------------------------------------------------


def test_length_and_its_two_names(client):
    five = chat(client, max_tokens=5)
    assert five.usage.completion_tokens == 5 and five.choices[0].finish_reason == "length"
    four = chat(client, max_tokens=9, max_completion_tokens=4)
    assert four.usage.completion_tokens == 4 and four.choices[0].finish_reason == "length"
    assert five.choices[0].message.content.startswith(four.choices[0].message.content)


def test_the_end_token_stops(client, vocabulary):
    ended = chat(client, logit_bias={str(vocabulary["<|im_end|>"]): 100})
    assert ended.choices[0].finish_reason == "stop" and ended.choices[0].message.content == ""
    assert ended.usage.completion_tokens <= 1
    went_on = chat(client, logit_bias={str(vocabulary["<|im_end|>"]): 100}, max_tokens=6,
                   extra_body={"ignore_eos": True})
    assert went_on.choices[0].finish_reason == "length" and went_on.usage.completion_tokens == 6


@pytest.mark.parametrize("stream", [False, True])
def test_stop_strings_never_leak(client, stream):
    whole = complete(client, max_tokens=40).choices[0].text
    # Strings that begin inside one token and end inside another, as well as whole words.
    for begin in range(3, len(whole) - 8, 5):
        stop = whole[begin:begin + 6]
        answer = complete(client, max_tokens=40, stop=[stop, "never in the text"], stream=stream)
        chunks = list(answer) if stream else [answer]
        got = "".join(chunk.choices[0].text for chunk in chunks)
        assert got == whole[:whole.index(stop)], f"stop {stop!r}"
        assert chunks[-1].choices[0].finish_reason == "stop"


def test_an_unused_stop_string_costs_no_text(client):
    whole = complete(client, max_tokens=20).choices[0].text
    almost = whole[-4:] + "~"
    answer = complete(client, max_tokens=20, stop=almost)
    assert answer.choices[0].text == whole and answer.choices[0].finish_reason == "length"


# --- sampling --------------------------------------------------------------------------------------------------------


def test_three_choices_differ_and_are_counted(client):
    answer = chat(client, n=3, temperature=1, seed=11, max_tokens=16)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 3
    greedy = chat(client, n=3, max_tokens=16)
    assert len({choice.message.content for choice in greedy.choices}) == 1
    assert greedy.usage.completion_tokens == 3 * chat(client, max_tokens=16).usage.completion_tokens
    assert greedy.usage.prompt_tokens == chat(client, max_tokens=16).usage.prompt_tokens


def test_streamed_choices_keep_their_index(client):
    expected = [choice.message.content for choice in chat(client, n=3, temperature=1, seed=5).choices]
    texts = ["", "", ""]
    for chunk in chat(client, n=3, temperature=1, seed=5, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == expected


def test_seeds_repeat_and_differ(client):
    def with_seed(seed):
        return complete(client, temperature=1, seed=seed, max_tokens=24).choices[0].text

    first = with_seed(1)
    assert with_seed(1) == first == with_seed(1)
    assert len({first, with_seed(2), with_seed(3), with_seed(2**63)}) == 4
    unseeded = {complete(client, temperature=1, max_tokens=24).choices[0].text for _ in range(3)}
    assert len(unseeded) == 3


def test_top_k_one_is_greedy(client):
    greedy = complete(client, max_tokens=16).choices[0].text
    assert complete(client, max_tokens=16, temperature=2, extra_body={"top_k": 1}).choices[0].text == greedy
    assert complete(client, max_tokens=16, temperature=2, top_p=1e-6).choices[0].text == greedy
    assert complete(client, max_tokens=16, temperature=2, seed=4).choices[0].text != greedy


def test_logit_bias_forces_and_forbids(client, vocabulary):
    paris, madrid = vocabulary["\u0120Paris"], vocabulary["\u0120Madrid"]
    assert complete(client, max_tokens=1).choices[0].text == " Paris"
    assert complete(client, max_tokens=3, logit_bias={str(madrid): 100}).choices[0].text == " Madrid" * 3
    assert complete(client, max_tokens=1, logit_bias={str(paris): -100}).choices[0].text != " Paris"


@pytest.mark.parametrize("stream", [False, True])
def test_half_characters_come_out_as_replacement_characters(client, vocabulary, stream):
    lead_byte = vocabulary["\u00f0"]  # 0xf0 opens a character of four bytes
    forced = dict(max_tokens=3, logit_bias={str(lead_byte): 100}, logprobs=0, stream=stream)
    chunks = list(complete(client, **forced)) if stream else [complete(client, **forced)]
    assert "".join(chunk.choices[0].text for chunk in chunks) == "\ufffd" * 3
    tokens = [token for chunk in chunks if chunk.choices[0].logprobs for token in chunk.choices[0].logprobs.tokens]
    assert tokens == ["bytes:\\xf0"] * 3


def test_frequency_penalty_ends_repetition(client):
    text = "one two one two one two one two one two"
    plain = complete(client, prompt=text, max_tokens=24).choices[0].text.split()
    varied = complete(client, prompt=text, max_tokens=24, frequency_penalty=2).choices[0].text.split()
    assert len(set(varied)) > len(set(plain))


# --- probabilities ---------------------------------------------------------------------------------------------------


def test_chat_logprobs_are_probabilities(client):
    answer = chat(client, logprobs=True, top_logprobs=5)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) in (answer.usage.completion_tokens, answer.usage.completion_tokens - 1)
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == answer.choices[0].message.content
    for token in tokens:
        assert len(token.top_logprobs) == 5
        assert sum(math.exp(each.logprob) for each in token.top_logprobs) <= 1 + 1e-4
        assert [each.logprob for each in token.top_logprobs] == sorted(
            (each.logprob for each in token.top_logprobs), reverse=True)
        assert (token.token, token.logprob) == (token.top_logprobs[0].token, token.top_logprobs[0].logprob)


def test_sampled_tokens_have_their_own_logprob(client):
    tokens = chat(client, temperature=1.5, seed=3, logprobs=True, top_logprobs=20).choices[0].logprobs.content
    listed = [(token, {each.token: each.logprob for each in token.top_logprobs}) for token in tokens]
    assert all(all_of[token.token] == token.logprob for token, all_of in listed if token.token in all_of)
    assert any(token.logprob < max(all_of.values()) for token, all_of in listed), "every token was the likeliest"


def test_completion_logprobs(client):
    answer = complete(client, logprobs=3)
    got = answer.choices[0].logprobs
    assert "".join(got.tokens) == answer.choices[0].text
    offsets = [sum(map(len, got.tokens[:i])) for i in range(len(got.tokens))]
    assert got.text_offset == offsets
    for token, logprob, top in zip(got.tokens, got.token_logprobs, got.top_logprobs):
        assert top[token] == logprob == max(top.values())
        assert len(top) == 3 and sum(map(math.exp, top.values())) <= 1 + 1e-4


def test_streamed_logprobs_are_the_plain_ones(client):
    plain = chat(client, logprobs=True, top_logprobs=2).choices[0].logprobs.content
    streamed = []
    for chunk in chat(client, logprobs=True, top_logprobs=2, stream=True):
        if chunk.choices[0].logprobs:
            streamed += chunk.choices[0].logprobs.content
    assert [token.token for token in streamed] == [token.token for token in plain]


# --- echo ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_echo_brings_the_prompt_back(client, stream):
    plain = complete(client).choices[0].text
    answer = complete(client, echo=True, stream=stream)
    chunks = answer if stream else [answer]
    assert "".join(chunk.choices[0].text for chunk in chunks) == FRANCE + plain
    assert [choice.text for choice in complete(client, echo=True, n=2).choices] == [FRANCE + plain] * 2


def test_echo_of_token_ids_is_their_text(client, vocabulary):
    ids = [vocabulary["The"], vocabulary["\u0120capital"], vocabulary["\u0120of"], vocabulary["\u0120France"],
           vocabulary["\u0120is"]]
    answer = complete(client, prompt=ids, echo=True)
    assert answer.choices[0].text == FRANCE + complete(client).choices[0].text
    assert answer.usage.prompt_tokens == 5


def test_a_stop_string_in_the_echoed_prompt_stops_nothing(client):
    answer = complete(client, echo=True, stop=["capital"], max_tokens=3)
    assert answer.choices[0].text.startswith(FRANCE) and answer.usage.completion_tokens == 3


def test_echo_with_logprobs_scores_a_text(client):
    scored = complete(client, prompt=FRANCE + " Paris", echo=True, logprobs=2, max_tokens=0)
    got = scored.choices[0].logprobs
    assert "".join(got.tokens) == scored.choices[0].text == FRANCE + " Paris"
    assert got.token_logprobs[0] is None and got.top_logprobs[0] is None
    assert all(logprob < 0 for logprob in got.token_logprobs[1:])
    generated = complete(client, logprobs=2, max_tokens=1).choices[0].logprobs
    assert generated.tokens == [" Paris"]
    assert math.isclose(got.token_logprobs[-1], generated.token_logprobs[0], abs_tol=0.02)
    odd = complete(client, prompt=FRANCE + " potato", echo=True, logprobs=2, max_tokens=0).choices[0].logprobs
    assert sum(odd.token_logprobs[5:]) < got.token_logprobs[-1] - 3


def test_echo_with_logprobs_goes_on(client):
    long = " ".join(f"number {i}," for i in range(60))
    answer = complete(client, prompt=long, echo=True, logprobs=1, max_tokens=4)
    got = answer.choices[0].logprobs
    assert "".join(got.tokens) == answer.choices[0].text
    assert len(got.tokens) == answer.usage.prompt_tokens + 4
    assert got.text_offset == [sum(map(len, got.tokens[:i])) for i in range(len(got.tokens))]
    assert answer.choices[0].text == long + complete(client, prompt=long, max_tokens=4).choices[0].text


# --- the prefix cache ------------------------------------------------------------------------------------------------


def test_a_repeated_prompt_is_cached_and_answers_the_same(client):
    story = "The lighthouse keeper counted ships. " * 40
    first = complete(client, prompt=story + "Then", max_tokens=16)
    again = complete(client, prompt=story + "Then", max_tokens=16)
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert again.usage.prompt_tokens_details.cached_tokens > 0.8 * again.usage.prompt_tokens
    assert again.choices[0].text == first.choices[0].text
    assert again.timings["cache_n"] == again.usage.prompt_tokens_details.cached_tokens
    other = complete(client, prompt=story + "But nobody", max_tokens=1)
    assert other.usage.prompt_tokens_details.cached_tokens > 0.8 * other.usage.prompt_tokens
    elsewhere = complete(client, prompt="Otherwise. " + story, max_tokens=1)
    assert elsewhere.usage.prompt_tokens_details.cached_tokens == 0


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(client, server):
    prompt = "hello " * 9000
    with pytest.raises(openai.BadRequestError) as caught:
        complete(client, prompt=prompt, max_tokens=1)
    assert caught.value.code == "context_length_exceeded"
    context = client.models.retrieve("smollm2").context_length
    assert str(context) in caught.value.message and "900" in caught.value.message
    status, error = server.error(CHAT, model="smollm2", messages=[{"role": "user", "content": prompt}])
    assert status == 400 and error["code"] == "context_length_exceeded"


def test_an_unknown_model_is_a_404_that_lists_the_models(client):
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client, model="nobody")
    assert caught.value.code == "model_not_found"
    assert all(name in caught.value.message for name in ("nobody", "smollm2", "gemma3"))


def test_chat_with_a_model_that_has_no_template(client):
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, model="gemma3")
    assert "no chat template" in caught.value.message and "/v1/completions" in caught.value.message
    assert "France" in complete(client, model="gemma3", prompt="Paris is the capital of").choices[0].text


@pytest.mark.parametrize("ids", [[49152], [2**31 - 1]])
def test_token_ids_outside_the_vocabulary(server, ids):
    status, error = server.error(COMPLETIONS, model="smollm2", prompt=ids)
    assert status == 400 and "49152" in error["message"]


@pytest.mark.parametrize("prompt", ["", "\0", "\U0001f600", "\ufeff\u202e"])
def test_odd_prompts_are_answered(client, prompt):
    assert complete(client, prompt=prompt, max_tokens=2).usage.completion_tokens in (1, 2)
