"""Ten thousand random bodies against the real program and a real model: a 200 or a 4xx each, and nothing is left."""
import concurrent.futures
import http.client
import json
import random

from hearth_process import Hearth, model_file, profile, until
from random_bodies import GOOD, check_answer, random_body

BODIES, CONNECTIONS = 10000, 8


def send_many(server, path, seed, count):
    source = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    statuses = {}
    for _ in range(count):
        body = random_body(GOOD[path], source)
        connection.request("POST", path, body)
        answer = connection.getresponse()
        check_answer(answer.status, answer.read(), body)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
    connection.close()
    return statuses


def test_random_bodies_reach_the_model_and_leave_nothing(tmp_path):
    # A short context bounds what the bodies that ask for everything can cost.
    template = tmp_path / "plain.jinja"
    template.write_text("{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}")
    config = profile("scripted", model_file("smollm2"), "context = 24", f'chat_template = "{template}"')
    with Hearth(tmp_path / "server", config) as server:
        assert server.post("/v1/completions", **GOOD["/v1/completions"])[0] == 200
        descriptors = server.metrics()["hearth_open_descriptors"]
        leases = server.leases()
        paths = list(GOOD) * (CONNECTIONS // 2)
        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
            jobs = [pool.submit(send_many, server, path, seed, BODIES // CONNECTIONS)
                    for seed, path in enumerate(paths)]
            all_statuses = [job.result() for job in jobs]
        total = {code: sum(each.get(code, 0) for each in all_statuses) for code in (200, 400)}
        assert total[200] > 500 and total[400] > 4000, all_statuses
        assert until(server.is_quiet) and server.leases() == leases
        assert until(lambda: server.metrics()["hearth_open_descriptors"] <= descriptors)
        assert server.is_alive()
        for path, body in GOOD.items():
            status, _, data = server.request("POST", path, json.dumps(body))
            assert status == 200 and json.loads(data)["usage"]["completion_tokens"] > 0
