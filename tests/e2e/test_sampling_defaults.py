"""What a request that names no sampling values gets: the profile's, else what the model's file recommends, else the
built-in ones."""
import struct

import pytest

from hearth_process import COMPLETIONS, Hearth, model_file, profile


def with_metadata(source, target, **floats):
    """A copy of a GGUF file with further float32 metadata in front. The last key is filled up, so that the tensors stay
    aligned."""
    data = source.read_bytes()
    magic, version, n_tensors, n_values = struct.unpack_from("<IIQQ", data)

    def text(word):
        return struct.pack("<Q", len(word)) + word

    added = b"".join(text(key.replace("__", ".").encode()) + struct.pack("<If", 6, value)
                     for key, value in floats.items())
    filler = -(len(added) + 8 + len(b"test.filler") + 4 + 8) % 32
    added += text(b"test.filler") + struct.pack("<I", 8) + text(b"x" * filler)
    target.write_bytes(struct.pack("<IIQQ", magic, version, n_tensors, n_values + len(floats) + 1) + added + data[24:])
    return target


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("defaults")
    plain = model_file("smollm2")
    greedy = with_metadata(plain, folder / "greedy.gguf", general__sampling__temp=0.0)
    config = "".join([profile("plain", plain, 'keep_alive = "0s"'), profile("greedy", greedy, 'keep_alive = "0s"'),
                      profile("warm", greedy, "temperature = 1.5", 'keep_alive = "0s"'),
                      profile("seeded", plain, "seed = 7", 'keep_alive = "0s"'),
                      profile("varied", plain, "temperature = 0", "frequency_penalty = 2", "presence_penalty = 2")])
    with Hearth(folder, config) as running:
        yield running


def texts(server, model, times=3, **body):
    body = {"prompt": "Once upon a time", "max_tokens": 16, **body}
    answers = [server.post(COMPLETIONS, model=model, **body) for _ in range(times)]
    assert all(status == 200 for status, _ in answers), answers
    return {answer["choices"][0]["text"] for _, answer in answers}


def test_the_models_own_temperature_counts_unless_somebody_says_otherwise(server):
    assert len(texts(server, "plain")) > 1  # temperature 1
    assert texts(server, "greedy") == texts(server, "plain", temperature=0)
    assert len(texts(server, "warm")) > 1  # the profile over the model
    assert len(texts(server, "greedy", temperature=1.5)) > 1  # the request over both


def test_a_profiles_seed_repeats_answers(server):
    told = texts(server, "seeded")
    assert told == texts(server, "plain", seed=7)
    assert told != texts(server, "seeded", times=1, seed=8)


def test_a_profiles_penalties_count(server):
    body = {"times": 1, "prompt": "1 1 1 1 1 1 1 1 1", "max_tokens": 24}
    assert texts(server, "varied", **body) == texts(server, "plain", temperature=0, frequency_penalty=2,
                                                    presence_penalty=2, **body)
    assert texts(server, "varied", **body) != texts(server, "plain", temperature=0, **body)
