"""Chat templates against jinja2 in the sandbox transformers builds for them: the same text to the byte, and an error
where jinja2 raises one (with the same words when the template itself raised it).

    HEARTH_BIN=build/release/bin HEARTH_TEST_TEMPLATES=<folder of *.jinja files> pytest tests/oracle/template_oracle.py

HEARTH_TEST_SMOLLM2 and HEARTH_TEST_GEMMA3 may name GGUF files whose own templates are rendered too.
"""
import copy
import datetime
import json
import os
import pathlib
import subprocess

import jinja2
import pytest
from transformers.utils.chat_template_utils import _compile_jinja_template

from template_conversations import CONVERSATIONS
from template_snippets import CONTEXT, SNIPPETS

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOW = 1_753_000_000
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


class Probe:
    """The program tests/tools/text_probe.cpp, kept running; one JSON line per question."""

    def __init__(self):
        folder = pathlib.Path(os.environ.get("HEARTH_BIN", ROOT / "build/release/bin"))
        self.process = subprocess.Popen([ROOT / folder / "text_probe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def render(self, source, context):
        request = {"op": "template", "source": source, "context": context, "now": NOW}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0


@pytest.fixture(scope="module")
def probe():
    started = Probe()
    yield started
    started.close()


class Raised(Exception):
    """What raise_exception throws here, so that its message is known from jinja2's own errors."""


def raise_exception(message):
    raise Raised(str(message))


def reference(source, context):
    """(text, None), or (None, the model's own message); "" for any other error, RecursionError for endless recursion."""
    try:
        template = _compile_jinja_template(source)
        template.environment.globals["strftime_now"] = lambda f: datetime.datetime.fromtimestamp(NOW).strftime(f)
        template.environment.globals["raise_exception"] = raise_exception
        return template.render(**copy.deepcopy(context)), None
    except Raised as error:
        return None, str(error)
    except RecursionError:
        return None, RecursionError
    except Exception:
        return None, ""


def compare(probe, source, context):
    text, message = reference(source, context)
    reply = probe.render(source, context)
    if text is not None:
        assert reply.get("text") == text, reply.get("error", "the texts differ")
        return
    assert "error" in reply, f"jinja2 raises ({message!r}); ours rendered {reply.get('text')!r}"
    if message is RecursionError:
        assert reply["code"] == "unsupported" and "max_depth" in reply["error"]
        return
    assert reply["code"] == "invalid_argument", reply
    if message:
        assert reply["error"] == message


def gguf_template(path):
    import gguf
    field = gguf.GGUFReader(path).get_field("tokenizer.chat_template")
    return field.contents() if field else None


def load_templates():
    folder = os.environ.get("HEARTH_TEST_TEMPLATES")
    templates = {}
    if folder:
        templates = {p.name: p.read_text("utf-8") for p in sorted(pathlib.Path(folder).glob("*.jinja"))}
        assert templates, f"no *.jinja file in {folder}"
    for name in ("HEARTH_TEST_SMOLLM2", "HEARTH_TEST_GEMMA3"):
        if path := os.environ.get(name):
            if source := gguf_template(path):  # a base model has none
                templates[name] = source
    return templates


TEMPLATES = load_templates()
assert not TEMPLATES or len(TEMPLATES) >= 40, f"only {len(TEMPLATES)} chat templates in HEARTH_TEST_TEMPLATES"


@pytest.mark.skipif(not TEMPLATES, reason="HEARTH_TEST_TEMPLATES names no folder of chat templates")
@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("template", TEMPLATES or ["none"])
def test_real_template(probe, template, name):
    messages, more = CONVERSATIONS[name]
    compare(probe, TEMPLATES[template], {**TOKENS, "add_generation_prompt": True, "messages": messages, **more})


@pytest.mark.skipif(not TEMPLATES, reason="HEARTH_TEST_TEMPLATES names no folder of chat templates")
def test_templates_render_something():
    """Guards the comparison itself: most templates must render most conversations."""
    rendered = 0
    for source in TEMPLATES.values():
        for messages, more in CONVERSATIONS.values():
            text, _ = reference(source, {**TOKENS, "add_generation_prompt": True, "messages": messages, **more})
            rendered += text is not None
    assert rendered > len(TEMPLATES) * len(CONVERSATIONS) * 0.7


@pytest.mark.parametrize("source", SNIPPETS)
def test_snippet(probe, source):
    compare(probe, source, CONTEXT)
