"""The checker of lines, files and links, on small made-up trees: each rule has a tree that keeps it and one that
breaks it."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_text  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORDS = "word " * 25


def breaches_of(tmp_path, files):
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return check_text.check_tree(tmp_path)[0]


@pytest.mark.parametrize("path, text", [
    ("src/core/a.cpp", "x" * 120 + "\n"),
    ("src/core/a.cpp", f'auto text = R"(\n{WORDS}\n)";\n'),
    ("src/core/a.cpp", f'auto text = R"json({{"a": ")"}}\n{WORDS})json";\n'),
    ("docs/a.md", f"| {WORDS} | {WORDS} |\n"),
    ("docs/a.md", "- see [it](https://example.org/" + "a" * 100 + ")\n"),
    ("tests/oracle/template_snippets.py", f'"{WORDS}"\n'),
    ("docs/nodes.md", f"{WORDS}\n"),
    ("tests/golden/clip/words.txt", WORDS * 9),
])
def test_what_cannot_be_broken_may_be_long(tmp_path, path, text):
    assert breaches_of(tmp_path, {path: text}) == []


@pytest.mark.parametrize("path, text, line", [
    ("src/core/a.cpp", f"int a;\nint b;  // {WORDS}\n", 2),
    ("src/core/a.h", f"// What it is for.\n// {WORDS}\n", 2),
    ("src/core/a.cpp", f'auto text = R"(\n)";\nint b;  // {WORDS}\n', 3),
    ("apps/hearth/a.cpp", f"// {WORDS}\n", 1),
    ("tests/server/test_a.py", f"a = 1\n\nb = 2  # {WORDS}\n", 3),
    ("tools/a.sh", f"echo {WORDS}\n", 1),
    ("docs/a.md", f"# A\n\n{WORDS}\n", 3),
    ("README.md", f"{WORDS}\n", 1),
])
def test_a_long_line_is_named(tmp_path, path, text, line):
    breaches = breaches_of(tmp_path, {path: text})
    assert len(breaches) == 1 and breaches[0].startswith(f"{path}:{line}: ") and "at most 120" in breaches[0]


def test_columns_are_characters_and_not_bytes(tmp_path):
    assert breaches_of(tmp_path, {"docs/a.md": "é " * 60 + "\n"}) == []
    assert len(breaches_of(tmp_path, {"docs/a.md": "é " * 60 + "éé\n"})) == 1


def test_a_source_file_has_an_end_and_a_header_a_beginning(tmp_path):
    most = check_text.FILE_LINES
    assert breaches_of(tmp_path, {"src/core/a.cpp": "\n" * most, "src/core/a.h": "// Why.\n#pragma once\n"}) == []
    breaches = breaches_of(tmp_path, {"src/core/a.cpp": "\n" * (most + 1), "src/core/a.h": "#pragma once\n// Why.\n",
                                      "tests/tools/a.cpp": "\n" * (most + 1)})
    assert len(breaches) == 2
    assert f"at most {most}" in breaches[0] and breaches[0].startswith("src/core/a.cpp:")
    assert breaches[1].startswith("src/core/a.h:1: ") and "what it is for" in breaches[1]


@pytest.mark.parametrize("link", ["b.md", "b.md#two-words", "#own-title", "../src/a.cpp", "..", "https://example.org/x",
                                  "mailto:a@example.org", "b.md#post-v1images", "b.md#two-words-1"])
def test_a_link_that_leads_somewhere_passes(tmp_path, link):
    files = {"docs/a.md": f"# Own title\n\nsee [it]({link})\n", "src/a.cpp": "",
             "docs/b.md": "# B\n## Two words\n## POST `/v1/images`\n## Two words\n"}
    assert breaches_of(tmp_path, files) == []


@pytest.mark.parametrize("link, said", [
    ("nowhere.md", "no file"), ("../docs/nowhere", "no file"), ("b.md#three-words", "no heading"),
    ("#two-words", "no heading"), ("b.md#in-a-block", "no heading"), ("images/none.webp", "no file"),
])
@pytest.mark.parametrize("mark", ["", "!"])
def test_a_link_that_leads_nowhere_is_named(tmp_path, link, said, mark):
    files = {"docs/a.md": f"# A\n\nsee {mark}[it]({link})\n", "docs/b.md": "## Two words\n```sh\n# In a block\n```\n"}
    breaches = breaches_of(tmp_path, files)
    assert len(breaches) == 1 and breaches[0].startswith("docs/a.md:3: ") and said in breaches[0]


def test_links_in_code_are_no_links(tmp_path):
    assert breaches_of(tmp_path, {"docs/a.md": "`[it](no.md)`\n\n```md\n[it](no.md)\n```\n\n    x\n"}) == []


def test_this_tree_keeps_the_rules():
    breaches, count = check_text.check_tree(ROOT)
    assert breaches == []
    assert count > 20
