#!/usr/bin/env python3
"""Starts a server, asks it one question over HTTP, checks what it says of the device, and stops it.

    serve_once.py --model FILE.gguf --isa neon --junit OUT.xml --name NAME -- PROGRAM [WORD...]

PROGRAM WORD... is what stands before `serve` in the command line, an emulator included. Passes when the log's device
line names the instruction set --isa, the answer is text of exactly --tokens tokens and the server stops cleanly. The
verdict goes to standard error and into a JUnit report; exits 1 when it failed.
"""

import argparse
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import xml.etree.ElementTree as ElementTree


class Failed(Exception):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(server):
    """The log up to the line that says so."""
    lines = []
    for line in server.stderr:
        lines.append(line)
        if "ready on" in line:
            return lines
    raise Failed("the server did not start:\n" + "".join(lines[-20:]))


def check_device(lines, isa):
    device = next((line for line in lines if "device:" in line), "no device line")
    if f", {isa}:" not in device:
        raise Failed(f"expected the instruction set {isa}, the log says: {device.strip()}")
    return device.split("device:", 1)[1].strip()


def ask(port, tokens, timeout):
    body = {"messages": [{"role": "user", "content": "Name three colours."}], "max_tokens": tokens, "temperature": 0}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout) as answer:
        told = json.load(answer)
    text, counted = told["choices"][0]["message"]["content"], told["usage"]["completion_tokens"]
    if not text.strip() or counted != tokens:
        raise Failed(f"expected {tokens} tokens of text, got {counted}: {text!r}")
    return text


def serve_once(options):
    port = free_port()
    command = [*options.program, "serve", "--port", str(port), "--device", "cpu", "-m", options.model]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        device = check_device(wait_until_ready(server), options.isa)
        threading.Thread(target=server.stderr.read, daemon=True).start()  # a full pipe would stop the server
        start = time.monotonic()
        text = ask(port, options.tokens, options.timeout)
        seconds = time.monotonic() - start
        server.terminate()
        if server.wait(timeout=60) != 0:
            raise Failed(f"the server ended with {server.returncode}")
    finally:
        server.kill()
    return f"{device}; {options.tokens} tokens in {seconds:.1f} s: {text!r}"


def write_report(path, name, problem):
    suite = ElementTree.Element("testsuite")
    case = ElementTree.SubElement(suite, "testcase", classname="serve_once", name=name)
    if problem:
        ElementTree.SubElement(case, "failure", message=problem)
    ElementTree.ElementTree(suite).write(path)


def judged(check, options):
    """The exit code of check(options), whose words or failure are printed and, with --junit, reported."""
    try:
        told, problem = check(options), None
    except (Failed, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
        told = problem = f"failed: {error}"
    if options.junit:
        write_report(options.junit, options.name, problem)
    print(f"{options.name}: {told}", file=sys.stderr)
    return 1 if problem else 0


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--isa", required=True)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--name", default="serve_once")
    parser.add_argument("--junit")
    parser.add_argument("program", nargs="+")
    return judged(serve_once, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
