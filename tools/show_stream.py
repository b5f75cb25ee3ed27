#!/usr/bin/env python3
"""Prints a streamed chat answer as it arrives: curl -sN .../v1/chat/completions | show_stream.py [ASKED_AT]

Reads server-sent events on standard input. Ends with a line of figures: tokens, time to the first one since ASKED_AT
(seconds of the epoch; by default the start of this program), tokens per second after it. Exits 1 when there was no
answer or the server sent an error.
"""

import json
import sys
import time


def events(lines):
    """The JSON payloads of the stream; a body that is no event stream counts as one payload."""
    rest = []
    for line in lines:
        line = line.rstrip("\n")
        if line.startswith("data:"):
            payload = line[5:].strip()
            if payload == "[DONE]":
                return
            yield json.loads(payload)
        elif line and not line.startswith((":", "event:", "id:", "retry:")):
            rest.append(line)
    if rest:
        try:
            yield json.loads("\n".join(rest))
        except ValueError:
            yield {"error": {"message": " ".join(rest)}}


def main(asked_at):
    start = time.monotonic() - (time.time() - asked_at)
    first = last = None
    pieces = tokens = 0
    usage, answer = {}, ""
    for event in events(sys.stdin):
        if "error" in event:
            print(f"\nerror: {event['error'].get('message', event['error'])}", file=sys.stderr)
            return 1
        usage = event.get("usage") or usage
        for choice in event.get("choices", []):
            text = choice.get("delta", {}).get("content") or ""
            if text:
                last = time.monotonic()
                first = first or last
                pieces += 1
                answer += text
                print(text, end="", flush=True)
    print()
    if not answer.strip():
        print("error: the answer was empty", file=sys.stderr)
        return 1
    tokens = usage.get("completion_tokens", pieces)
    seconds = last - first
    rate = f"{(tokens - 1) / seconds:.1f} tokens/s" if tokens > 1 and seconds > 0 else "one token"
    print(f"-- {tokens} tokens, first after {(first - start) * 1000:.0f} ms, then {rate}")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else time.time()))
