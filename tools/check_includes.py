#!/usr/bin/env python3
"""Who may include whom: check_includes.py [ROOT]. Prints each breach as path:line: message and exits 1 if there is one.

It reads every C++ and CUDA source below src/, apps/, tests/ and bench/ and knows three rules and no exception:
1. A module (first folder below src/) includes itself and what MODULES names. An entry is a module, a folder or one
   file. The other three stand outside the modules and may include all of them.
2. Test code inside a module (X_test.cpp, X_test.cu, and the helpers in a folder testing/ or named X_testing.h) may also
   include what TESTS names. A helper is included by test code only.
3. A third-party header family, and the call that takes device memory, live where LIBRARIES and CALLS say.
A quoted include is relative to src/ or lies beside the including file; own headers are never included with <>.
"""

import pathlib
import re
import sys

MODULES = {
    "core": [],
    "machine": ["core"],
    "ops": ["core"],
    "formats": ["core"],
    "text": ["core"],
    "config": ["core"],
    "fetch": ["core", "formats"],
    "governor": ["machine", "core"],
    "models": ["ops", "formats", "core"],
    "runtime": ["models", "ops", "text", "formats", "governor", "core"],
    "planner": ["runtime", "models", "machine", "governor", "formats", "core"],
    "doctor": ["planner", "machine", "governor", "formats", "core"],
    "workflow": ["runtime", "models", "ops", "text", "formats", "governor", "core"],
    "api": ["runtime/request.h", "workflow/graph", "workflow/registry.h", "formats/json", "core"],
    "server": ["api", "workflow", "runtime", "planner", "config", "machine", "governor", "formats/json",
               "formats/image", "core"],
}
TESTS = ["formats"]

# (family, header pattern, the path patterns that may include it)
LIBRARIES = [
    ("nlohmann", r"nlohmann/", [r"src/formats/json/", r"src/api/", r"src/fleet/", r"apps/"]),
    ("libcurl", r"curl/", [r"src/fetch/", r"src/fleet/peer/"]),
    ("Boost", r"boost/", [r"src/server/http/", r"src/server/websocket/"]),
    ("SQLite", r"sqlite3", [r"src/server/queue/"]),
    ("spdlog", r"spdlog/", [r"src/core/base/log\.cpp$"]),
    ("CUDA",
     r"(cuda|cublas|cudnn|curand|cusparse|cusolver|nccl|nvml|nvrtc|nvtx|cutlass|cute|cub/|thrust/|cooperative_groups"
     r"|mma\.h|device_launch_parameters|sm_\d+_)",
     [r".*\.cuh?$", r"src/core/device/cuda\.", r"src/machine/"]),
]
# (call, pattern, number of files that may contain it)
CALLS = [("cudaMalloc", r"\bcudaMalloc\w*\s*\(", 1)]

SUFFIXES = {".h", ".hpp", ".cpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
# Comments and literals are blanked before a call is looked for; line ends stay, so that line numbers do.
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def is_test_helper(path):
    return "/testing/" in path or bool(re.search(r"_testing\.(h|cpp)$", path))


def is_test_code(path):
    return is_test_helper(path) or bool(re.search(r"_test\.(cpp|cu)$", path))


def allows(entry, header):
    """An entry "formats/json" covers that folder and what is below it, an entry with a suffix exactly that file."""
    return header == entry or header.startswith(entry + "/")


def check_own(path, header, root):
    """The breach of including the own `header` (relative to src/) from `path` (relative to the root), or None."""
    module = header.split("/")[0]
    beside = root / pathlib.PurePosixPath(path).parent / header
    if module not in MODULES or "/" not in header:
        if beside.is_file():
            return None
        return f'"{header}" is neither below src/ nor beside this file'
    if is_test_helper(header) and path.startswith("src/") and not is_test_code(path):
        return f'"{header}" is a test helper; only test code may include it'
    if not path.startswith("src/"):
        return None
    own = path.split("/")[1]
    if own not in MODULES:
        return f"src/{own} has no row in the table of tools/check_includes.py"
    allowed = [own] + MODULES[own] + (TESTS if is_test_code(path) else [])
    if any(allows(entry, header) for entry in allowed):
        return None
    return f'{own} may not include "{header}"; it may include {", ".join(allowed[1:]) or "only itself"}'


def check_library(path, header):
    if header.split("/")[0] in MODULES and "/" in header:
        return f'<{header}> is an own header; write "{header}"'
    for family, pattern, places in LIBRARIES:
        if re.match(pattern, header) and not any(re.match(place, path) for place in places):
            return f"<{header}>: {family} headers belong in {', '.join(place.rstrip('$') for place in places)}"
    return None


def check_file(path, text, root):
    breaches = []
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quoted, angled = match.groups()
        # A third-party header in quotes is judged as a third-party header as well.
        message = check_library(path, angled) if angled else check_own(path, quoted, root)
        if quoted and message and any(re.match(pattern, quoted) for _, pattern, _ in LIBRARIES):
            message = check_library(path, quoted)
        if message:
            breaches.append(f"{path}:{number}: {message}")
    return breaches


def check_calls(texts):
    breaches = []
    for call, pattern, most in CALLS:
        places = []
        for path, text in texts.items():
            code = NOISE.sub(lambda noise: re.sub(r"[^\n]", " ", noise.group()), text)
            found = re.search(pattern, code)
            if found:
                places.append(f"{path}:{code.count(chr(10), 0, found.start()) + 1}")
        if len(places) > most:
            breaches.append(f"{places[-1]}: {call} may be called in {most} file, it is in {', '.join(places)}")
    return breaches


def sources(root):
    """{path relative to the root: text} of everything that is checked."""
    found = {}
    for folder in ("src", "apps", "tests", "bench"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                found[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8", errors="replace")
    return found


def check_tree(root):
    texts = sources(root)
    breaches = [breach for path, text in texts.items() for breach in check_file(path, text, root)]
    return breaches + check_calls(texts), len(texts)


def main(arguments):
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parent.parent
    breaches, count = check_tree(root)
    for breach in breaches:
        print(breach)
    print(f"check_includes: {count} files, {len(breaches)} breaches")
    return 1 if breaches or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
