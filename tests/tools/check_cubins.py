#!/usr/bin/env python3
"""What lies in the GPU code of built libraries: check_cubins.py LIBRARY... [--targets sm_90a,sm_120f]

Reads the libraries with cuobjdump (from PATH, CUDA's bin/ or a Python package of NVIDIA's) and exits 1 with a line for
each kernel that one target lacks, that keeps variables in local memory, or that asks for more shared memory than a
block of compute capability 12 may have. Exits 77, which ctest takes for skipped, when there is no cuobjdump.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

MAX_SHARED_BYTES = 99 * 1024
# Spills are errors of ptxas already; the argument reduction of sincos() keeps a few words on a stack.
MAX_STACK_BYTES = 64
SKIPPED = 77


def find_cuobjdump():
    candidates = [shutil.which("cuobjdump"), "/usr/local/cuda/bin/cuobjdump"]
    candidates += [str(pathlib.Path(path) / "nvidia/cu13/bin/cuobjdump") for path in sys.path]
    return next((path for path in candidates if path and pathlib.Path(path).is_file()), None)


def read_usage(text):
    """{target: {kernel: {"REG": n, "STACK": n, ...}}} out of what `cuobjdump -res-usage` prints."""
    kernels, target, function = {}, None, None
    for line in text.splitlines():
        if match := re.match(r"arch = (\S+)", line):
            target = match[1]
            kernels.setdefault(target, {})
        elif match := re.match(r" *Function (\S+):$", line):
            function = match[1]
        elif function and "REG:" in line:
            usage = {key: int(value) for key, value in re.findall(r"([A-Z]+):(\d+)", line)}
            kernels[target][without_source(function)] = usage
            function = None
    return kernels


def without_source(function):
    """The name less the part of an anonymous namespace that nvcc derives from the compilation."""
    return re.sub(r"_GLOBAL__N__[0-9a-f]+_", "_GLOBAL__N__", function)


def faults(kernels, targets):
    wanted = set().union(*(kernels.get(target, {}) for target in targets))
    if not wanted:
        yield f"no kernel for any of {', '.join(targets)}; there is code for: {', '.join(kernels) or 'nothing'}"
    for target in targets:
        for function in sorted(wanted - set(kernels.get(target, {}))):
            yield f"{target}: no {function}"
        for function, usage in sorted(kernels.get(target, {}).items()):
            if usage["LOCAL"] > 0 or usage["STACK"] > MAX_STACK_BYTES:
                yield f"{target}: {function} keeps {usage['LOCAL']} + {usage['STACK']} bytes in local memory"
            if usage["SHARED"] > MAX_SHARED_BYTES:
                yield f"{target}: {function} takes {usage['SHARED']} bytes of shared memory, at most {MAX_SHARED_BYTES}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("libraries", nargs="+")
    parser.add_argument("--targets", default="sm_90a,sm_120f")
    options = parser.parse_args()
    cuobjdump = find_cuobjdump()
    if not cuobjdump:
        print("no cuobjdump on PATH, in /usr/local/cuda/bin or among Python's packages")
        return SKIPPED
    kernels = {}
    for library in options.libraries:
        text = subprocess.run([cuobjdump, "-res-usage", library], check=True, capture_output=True, text=True).stdout
        for target, found in read_usage(text).items():
            kernels.setdefault(target, {}).update(found)
    found = list(faults(kernels, options.targets.split(",")))
    for fault in found:
        print(fault)
    print(", ".join(f"{target}: {len(of)} kernels, at most {max((u['REG'] for u in of.values()), default=0)} registers"
                    for target, of in sorted(kernels.items())))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
