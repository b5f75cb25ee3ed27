"""The include checker, on small made-up trees: each rule has a tree that keeps it and one that breaks it."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_includes  # noqa: E402


def breaches_of(tmp_path, files):
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return check_includes.check_tree(tmp_path)[0]


@pytest.mark.parametrize("path, line", [
    ("src/ops/linear.cpp", '#include "core/base/result.h"'),
    ("src/ops/linear.cpp", '#include "ops/quant/dot.h"'),
    ("src/api/openai/chat.cpp", '#include "runtime/request.h"'),
    ("src/api/openai/chat.cpp", '#include <nlohmann/json.hpp>'),
    ("src/server/http/server.cpp", '#include <boost/beast.hpp>'),
    ("src/fetch/http/client.cpp", '#include <curl/curl.h>'),
    ("src/core/base/log.cpp", '#include <spdlog/spdlog.h>'),
    ("src/core/device/cuda.cpp", "#include <cuda_runtime.h>"),
    ("src/ops/norm.cu", "#include <cub/cub.cuh>"),
    ("src/machine/gpu.cpp", "#include <nvml.h>"),
    ("src/text/tokenize/bpe_test.cpp", '#include "formats/gguf/gguf.h"'),
    ("src/models/lm/llama_test.cpp", '#include "models/testing/tiny.h"'),
    ("apps/hearth/main.cpp", '#include "server/http/server.h"'),
    ("tests/tools/probe.cpp", '#include "formats/zip/zip.h"'),
    ("src/core/base/a.cpp", "// #include \"ops/linear.h\""),
    ("src/core/base/a.cpp", "#include <vector>"),
])
def test_what_the_table_allows_passes(tmp_path, path, line):
    assert breaches_of(tmp_path, {path: line + "\n"}) == []


@pytest.mark.parametrize("path, line, said", [
    ("src/core/base/a.cpp", '#include "formats/json/json.h"', "core may not include"),
    ("src/ops/linear.h", '#include "models/registry.h"', "ops may not include"),
    ("src/text/bpe.cpp", '#include "formats/gguf/gguf.h"', "text may not include"),
    ("src/api/openai/chat.cpp", '#include "runtime/executor/executor.h"', "runtime/request.h"),
    ("src/api/openai/chat.cpp", '#include "formats/gguf/gguf.h"', "formats/json"),
    ("src/api/openai/chat.cpp", '#  include "formats/json_like.h"', "formats/json"),
    ("src/novel/a.cpp", '#include "core/base/result.h"', "no row"),
    ("src/text/a.cpp", '#include "nowhere/a.h"', "neither below src/"),
    ("src/models/lm/llama.cpp", '#include "models/testing/tiny.h"', "only test code"),
    ("src/ops/a.cpp", "#include <core/base/result.h>", "own header"),
    ("src/text/a.cpp", "#include <nlohmann/json.hpp>", "nlohmann"),
    ("src/text/a.cpp", '#include "nlohmann/json.hpp"', "nlohmann"),
    ("tests/server/probe.cpp", "#include <curl/curl.h>", "libcurl"),
    ("src/server/queue/a.cpp", "#include <boost/asio.hpp>", "Boost"),
    ("src/core/base/log.h", "#include <spdlog/spdlog.h>", "spdlog"),
    ("src/core/base/log.cpp.h", "#include <spdlog/spdlog.h>", "spdlog"),
    ("src/ops/norm.cpp", "#include <cuda_runtime.h>", "CUDA"),
    ("src/models/lm/a.cpp", "#include <mma.h>", "CUDA"),
    ("src/ops/linear_test.cpp", '#include "runtime/request.h"', "ops may not include"),
])
def test_what_the_table_forbids_is_named(tmp_path, path, line, said):
    breaches = breaches_of(tmp_path, {path: "#include <vector>\n" + line + "\n"})
    assert len(breaches) == 1
    assert breaches[0].startswith(f"{path}:2: ")
    assert said in breaches[0]


def test_a_header_beside_the_file_is_found(tmp_path):
    files = {"tests/fuzz/gguf_fuzz.cpp": '#include "seed.h"\n', "tests/fuzz/seed.h": "#pragma once\n"}
    assert breaches_of(tmp_path, files) == []


def test_device_memory_is_taken_in_one_file(tmp_path):
    one = {"src/core/device/cuda.cpp": "void* p; cudaMalloc(&p, 1);\n",
           "src/ops/a.cu": '// cudaMalloc(&p, 1)\nconst char* s = "cudaMalloc(x)"; /* cudaMalloc(y) */\n'}
    assert breaches_of(tmp_path, one) == []
    two = breaches_of(tmp_path, {"src/ops/b.cu": "\n/*\n*/ cudaMallocAsync(&p, 1, s);\n"})
    assert len(two) == 1 and two[0].startswith("src/ops/b.cu:3: ") and "src/core/device/cuda.cpp:1" in two[0]


def test_the_table_has_no_cycle_and_names_only_modules():
    def below(module, path=()):
        assert module not in path, f"cycle: {path + (module,)}"
        for entry in check_includes.MODULES[module]:
            below(entry.split("/")[0], path + (module,))
    for module in check_includes.MODULES:
        below(module)


def test_this_tree_keeps_the_rules():
    breaches, count = check_includes.check_tree(pathlib.Path(__file__).resolve().parent.parent)
    assert breaches == []
    assert count > 20
