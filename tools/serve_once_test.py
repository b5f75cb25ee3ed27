"""serve_once.py against a stand-in for the server."""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import serve_once  # noqa: E402

STAND_IN = """
import http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"choices": [{"message": {"content": TEXT}}],
                           "usage": {"completion_tokens": asked["max_tokens"]}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

import signal
signal.signal(signal.SIGTERM, lambda *_: sys.exit(STATUS))
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler)
print("I device: CPU, 2 threads, neon: a stand-in\\nI ready on it", file=sys.stderr, flush=True)
server.serve_forever()
"""


def run(folder, isa="neon", text="red", status=0):
    program = folder / "stand_in.py"
    program.write_text(f"TEXT, STATUS = {text!r}, {status}\n" + STAND_IN)
    report = folder / "report.xml"
    code = serve_once.main(["--model", "m", "--isa", isa, "--junit", str(report), "--name", "chat", "--",
                            sys.executable, str(program)])
    failure = ElementTree.parse(report).find("testcase/failure")
    return code, failure.get("message") if failure is not None else None


def test_an_answer_from_the_right_kernels_passes(tmp_path):
    assert run(tmp_path) == (0, None)


@pytest.mark.parametrize("fault, told", [({"isa": "dotprod"}, "expected the instruction set dotprod"),
                                         ({"text": " "}, "expected 8 tokens of text"),
                                         ({"status": 3}, "the server ended with 3")])
def test_faults_are_failures_of_the_report(tmp_path, fault, told):
    code, message = run(tmp_path, **fault)
    assert code == 1 and told in message
