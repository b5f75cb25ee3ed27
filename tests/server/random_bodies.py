"""Random bodies for the OpenAI routes: good ones with odd values, truncated, broken, nested, or no JSON at all."""
import json

GOOD = {
    "/v1/chat/completions": {
        "model": "scripted", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}],
        "temperature": 0.5, "top_p": 0.9, "n": 1, "max_tokens": 4, "stop": ["x"], "seed": 3, "stream": False,
        "logit_bias": {"5": 1}, "logprobs": True, "top_logprobs": 2, "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": "auto", "response_format": {"type": "text"}, "chat_template_kwargs": {"a": 1}},
    "/v1/completions": {
        "model": "scripted", "prompt": "hi", "max_tokens": 4, "echo": True, "logprobs": 1, "best_of": 1, "suffix": "",
        "temperature": 1, "stop": "x", "stream": False, "top_k": 3, "min_p": 0.1, "repetition_penalty": 1.1},
}
ODD_VALUES = [None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 2**64, -2**63, 10**400, 1e308, -1e308, 1.5, "", "x",
              "\u0000", "\ud83d\ude00", "x" * 5000, [], {}, [[]], [{}], {"": {}}, [None], [1, "a"], {"a": [1]}]
RAW_NUMBERS = ["1e999", "-1e999", "1e-999", "-0", "00", "0x1", "1.", ".5", "NaN", "Infinity", "9" * 500]


def nested(random_source):
    depth = random_source.choice([1, 60, 64, 65, 130, 3000])
    opening, closing = random_source.choice([("[", "]"), ('{"a":', "}")])
    return opening * depth + "1" + closing * depth


def replaced_somewhere(value, random_source):
    """A copy with one value, at any depth, replaced by an odd one."""
    if isinstance(value, dict) and value and random_source.random() < 0.85:
        key = random_source.choice(list(value))
        return {**value, key: replaced_somewhere(value[key], random_source)}
    if isinstance(value, list) and value and random_source.random() < 0.85:
        place = random_source.randrange(len(value))
        return value[:place] + [replaced_somewhere(value[place], random_source)] + value[place + 1:]
    return random_source.choice(ODD_VALUES)


def random_body(good, random_source):
    kind = random_source.randrange(8)
    if kind < 3:
        body = good
        for _ in range(random_source.randrange(1, 4)):
            body = replaced_somewhere(body, random_source)
            if not isinstance(body, dict):
                break
        if isinstance(body, dict) and body.get("stream"):
            body = {**body, "stream": False}
        return json.dumps(body).encode("utf-8", "surrogatepass")
    text = json.dumps(good)
    if kind == 3:  # truncated
        return text[:random_source.randrange(len(text))].encode()
    if kind == 4:  # bytes replaced, often invalid UTF-8
        raw = bytearray(text.encode())
        for _ in range(random_source.randrange(1, 6)):
            raw[random_source.randrange(len(raw))] = random_source.randrange(256)
        return bytes(raw)
    if kind == 5:  # depth
        return text[:-1].encode() + b', "metadata": ' + nested(random_source).encode() + b"}"
    if kind == 6:  # numbers JSON libraries stumble over
        name = random_source.choice(["temperature", "seed", "n", "max_tokens", "top_p", "unknown"])
        return text[:-1].encode() + f', "{name}": {random_source.choice(RAW_NUMBERS)}}}'.encode()
    return random_source.randbytes(random_source.randrange(200))


def check_answer(status, body, sent):
    assert status == 200 or 400 <= status < 500, (status, body[:300], sent[:300])
    if b"data: " == body[:6]:
        return
    answer = json.loads(body)
    if status == 200:
        assert "choices" in answer
        return
    assert set(answer) == {"error"}, answer
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["message"] and answer["error"]["type"]
