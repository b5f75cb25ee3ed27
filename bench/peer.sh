#!/bin/bash
# bench/peer.sh: builds the peer that bench/llm_cpu.py measures beside this project, llama.cpp, from the source archive
# of assets/peer.lock into the cache folder: llama-bench, llama-batched-bench and llama-perplexity, Release, for this
# machine's own CPU, OpenMP, no BLAS. Prints the folder of the programs. A second call finds them built.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
source tools/lib.sh

peer=$CACHE/peer
programs=(llama-bench llama-batched-bench llama-perplexity)

install_packages build
download assets/peer.lock "$peer" --no-binary llama-cpp-python
stamp=$peer/.built-$(stamp_of assets/peer.lock)
if [[ ! -e $stamp ]]; then
  archive=$(compgen -G "$peer/llama_cpp_python-*.tar.gz" | head -n 1)
  rm -rf "$peer/source" "$peer/build"
  mkdir -p "$peer/source"
  tar -xzf "$archive" -C "$peer/source" --strip-components=3 --wildcards '*/vendor/llama.cpp/*'
  say "building llama.cpp (log: $peer/build.log)"
  {
    cmake -S "$peer/source" -B "$peer/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
      -DGGML_NATIVE=ON -DGGML_OPENMP=ON -DGGML_BLAS=OFF -DGGML_CUDA=OFF -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF \
      -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_UI=OFF \
      -DLLAMA_BUILD_MTMD=OFF
    ninja -C "$peer/build" -j "$(jobs_for_build)" "${programs[@]}"
  } >"$peer/build.log" 2>&1 || { tail -n 30 "$peer/build.log" >&2; fail "llama.cpp does not build"; }
  touch "$stamp"
fi
echo "$peer/build/bin"
