#!/usr/bin/env python3
"""How long lines and files may be, and where links of pages lead: check_text.py [ROOT]. Prints each breach as
path:line: message and exits 1 if there is one.

1. No line beyond 120 columns in the folders of FOLDERS. Exempt is what cannot be broken: rows of tables in pages,
   lines inside a raw string, lines with a word of more than 70 columns such as a link, the lists of texts in
   oracles, and the generated page of nodes.
2. No source file above 600 lines (FILE_LINES), and every header begins with a comment that says what it is for.
3. A relative link of a page leads to a file of the tree, and its #anchor to a heading of that page.
"""

import pathlib
import re
import sys

COLUMNS = 120
LONG_WORD = 70
FILE_LINES = 600
FOLDERS = ["src", "apps", "tests", "tools", "bench", "docs", "assets", "web", "deploy", "cmake"]
SUFFIXES = {".h", ".hpp", ".cpp", ".cu", ".cuh", ".py", ".sh", ".md", ".js", ".css", ".html", ".cmake"}
SOURCES = {".h", ".hpp", ".cpp", ".cu", ".cuh"}
# Texts that are compared with another program, one a line however long, and a page that is written by a program.
ONE_A_LINE = [r"tests/oracle/(template|tokenizer)_", r"tests/golden/[^/]+/make\.py$", r"docs/nodes\.md$"]

RAW_BEGIN = re.compile(r'\bR"([^()\\\s]{0,16})\(')
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^()\s]+)\)|!\[[^\]\n]*\]\(([^()\s]+)\)")
HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*$")


def pages_and_sources(root):
    """{path relative to the root: text} of everything that is checked."""
    found = {}
    tops = [path for path in root.iterdir() if path.is_file() and path.suffix == ".md"]
    below = [path for folder in FOLDERS for path in (root / folder).rglob("*")]
    for path in sorted(tops + below):
        if path.suffix in SUFFIXES and path.is_file():
            found[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8", errors="replace")
    return found


def raw_lines(text):
    """Numbers of the lines that lie in a raw string, its first and last one included."""
    lines, at = set(), 0
    while begin := RAW_BEGIN.search(text, at):
        end = text.find(f'){begin[1]}"', begin.end())
        at = len(text) if end < 0 else end + 1
        lines.update(range(text.count("\n", 0, begin.start()) + 1, text.count("\n", 0, at) + 2))
    return lines


def is_unbreakable(path, line):
    """A table's row in a page, or a line that one long word fills."""
    if path.endswith(".md") and line.lstrip().startswith("|"):
        return True
    return max(map(len, line.split()), default=0) > LONG_WORD


def long_lines(path, text):
    if any(re.match(pattern, path) for pattern in ONE_A_LINE):
        return []
    lines = text.splitlines()
    suspects = [number for number, line in enumerate(lines, 1) if len(line) > COLUMNS]
    raw = raw_lines(text) if suspects and pathlib.PurePosixPath(path).suffix in SOURCES else set()
    return [f"{path}:{number}: {len(lines[number - 1])} columns, at most {COLUMNS}" for number in suspects
            if number not in raw and not is_unbreakable(path, lines[number - 1])]


def file_shape(path, text):
    suffix = pathlib.PurePosixPath(path).suffix
    if suffix not in SOURCES or not path.startswith(("src/", "apps/")):
        return []
    breaches = []
    count = text.count("\n")
    if count > FILE_LINES:
        breaches.append(f"{path}:{count}: {count} lines, at most {FILE_LINES}: which two things is this?")
    if suffix in {".h", ".cuh"} and not text.startswith("//"):
        breaches.append(f"{path}:1: a header begins with a comment that says what it is for")
    return breaches


def anchors(text):
    """The anchors that a forge makes of a page's headings."""
    found, seen = set(), {}
    for line in without_code(text):
        heading = HEADING.match(line)
        if not heading:
            continue
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = seen.get(anchor, 0)
        seen[anchor] = number + 1
        found.add(f"{anchor}-{number}" if number else anchor)
    return found


def without_code(text):
    """The page's lines; those of code blocks are empty, so that numbers stay."""
    fence, lines = None, []
    for line in text.splitlines():
        mark = re.match(r"\s*(```+|~~~+)", line)
        if mark and fence is None:
            fence = mark[1]
        elif mark and line.strip() == fence:
            fence = None
        elif fence is None:
            lines.append(re.sub(r"`[^`]*`", "", line) if not line.startswith("#") else line)
            continue
        lines.append("")
    return lines


def broken_links(path, text, texts, root):
    breaches = []
    for number, line in enumerate(without_code(text), 1):
        for match in LINK.finditer(line):
            target = match[1] or match[2]
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            file, _, anchor = target.partition("#")
            whole = (root / path).parent / file if file else root / path
            if not whole.exists():
                breaches.append(f"{path}:{number}: the link {target} leads to no file")
            elif anchor and whole.suffix == ".md":
                page = whole.resolve().relative_to(root.resolve()).as_posix()
                if anchor not in anchors(texts.get(page) or whole.read_text(encoding="utf-8")):
                    breaches.append(f"{path}:{number}: {file or path} has no heading #{anchor}")
    return breaches


def check_tree(root):
    texts = pages_and_sources(root)
    breaches = []
    for path, text in texts.items():
        breaches += long_lines(path, text) + file_shape(path, text)
        if path.endswith(".md"):
            breaches += broken_links(path, text, texts, root)
    return breaches, len(texts)


def main(arguments):
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parent.parent
    breaches, count = check_tree(root)
    for breach in breaches:
        print(breach)
    print(f"check_text: {count} files, {len(breaches)} breaches")
    return 1 if breaches or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
