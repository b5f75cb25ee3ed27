"""Ten thousand random bodies: each gets a 200 or a 4xx with a valid envelope, and the server lives on."""
import http.client
import json
import random

import pytest

from fake_server import FakeServer
from random_bodies import GOOD, check_answer, random_body


@pytest.mark.parametrize("path", list(GOOD))
def test_random_bodies(path):
    server = FakeServer()
    random_source = random.Random(20240607)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    statuses = {}
    try:
        for _ in range(5000):
            body = random_body(GOOD[path], random_source)
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            check_answer(answer.status, answer.read(), body)
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
        assert server.is_alive()
        connection.request("POST", path, json.dumps(GOOD[path]))
        answer = connection.getresponse()
        assert answer.status == 200
        assert "Hello" in answer.read().decode()
        # The generator must reach both sides, or the test says nothing.
        assert statuses[200] > 200 and statuses[400] > 2000, statuses
    finally:
        connection.close()
        assert server.stop() == 0
