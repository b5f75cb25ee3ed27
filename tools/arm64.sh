#!/bin/bash
# tools/arm64.sh [build | run [CPU...] | test [CPU...] | exec COMMAND...]
# Cross-compiles the preset `arm64`, runs the test programs under qemu-aarch64, lets the emulated server answer a chat
# and the emulated program draw a picture that x86-64 drew before, on each of the named CPU models (max, neoverse-n1,
# cortex-a72: with i8mm, with dot products, with neither).
# Compiler, libraries and emulator live in a root of their own, so that the foreign architecture never reaches this
# machine's packages. `test` is `build` and `run`; `exec` runs a command in that root, in this tree (bound in at /src).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
source tools/lib.sh
# shellcheck source=tools/roots.sh
source tools/roots.sh

action=${1:-test}
shift $(($# < 1 ? $# : 1))
[[ $(id -u) -eq 0 ]] || fail "tools/arm64.sh needs root, for debootstrap, chroot and mount"
root=$ROOTS/bookworm-arm64
# The instruction set that the program must choose on each CPU model.
declare -A isa_of=([max]=i8mm [neoverse-n1]=dotprod [cortex-a72]=neon)

make_cross_root() {
  local stamp
  stamp=$root/.done-$(stamp_of tools/packages.sh)
  [[ ! -e $stamp ]] || return 0
  have debootstrap || as_root apt-get install -y --no-install-recommends debootstrap
  make_base_root bookworm
  say "making the root of the ARM cross compiler"
  if [[ ! -d $root/usr ]]; then
    mkdir -p "$root"
    tar -C "$root" -xf "$ROOTS/bookworm.tar"
    root_settings "$root"
    chroot "$root" dpkg --add-architecture arm64
  fi
  open_tree
  in_root "$root" bash -c 'cd /src && set -euo pipefail && source tools/lib.sh && install_packages arm64'
  touch "$stamp"
}

open_tree() {
  open_root "$root"
  mkdir -p "$root/src"
  mountpoint -q "$root/src" || mount --bind "$ROOT" "$root/src"
}

in_tree() { in_root "$root" bash -c 'cd /src && exec "$@"' bash "$@"; }

build_arm64() {
  say "building preset arm64 (log: build/arm64/build.log)"
  in_tree bash -c 'set -euo pipefail; source tools/lib.sh; build arm64'
}

# run_programs CPU: every gtest program, one report each in the results folder.
run_programs() {
  local cpu=$1 program name status worst=0
  for program in build/arm64/bin/*_test; do
    name=$(basename "$program")
    status=0
    # gtest names the report; the wall clock of an emulated program says nothing.
    in_tree env HEARTH_SOURCE_DIR=/src "GTEST_OUTPUT=xml:/src/build/arm64/results/$cpu-$name.xml" \
      qemu-aarch64 -cpu "$cpu" "/src/$program" --gtest_brief=1 || status=$?
    if [[ $status -ne 0 ]]; then
      worst=1
      say "$name on $cpu ended with $status"
      [[ -f build/arm64/results/$cpu-$name.xml ]] ||
        echo "<testsuite><testcase name=\"$cpu-$name crashed\"><failure/></testcase></testsuite>" \
          >"build/arm64/results/$cpu-$name.xml"
    fi
  done
  return "$worst"
}

# answer_chat CPU: the server, emulated, answers a chat of a real model over HTTP and has chosen the right kernels.
answer_chat() {
  in_tree python3 tools/serve_once.py --model build/arm64/smollm2.gguf --isa "${isa_of[$1]}" --name "chat on $1" \
    --junit "build/arm64/results/$1-chat.xml" -- qemu-aarch64 -cpu "$1" build/arm64/bin/hearth
}

# draw_picture CPU: the program, emulated, draws with the built-in model what the kept picture of x86-64 shows.
draw_picture() {
  in_tree python3 tools/picture_once.py --expected tests/golden/builtin_picture.png --name "picture on $1" \
    --junit "build/arm64/results/$1-picture.xml" -- qemu-aarch64 -cpu "$1" build/arm64/bin/hearth
}

test_arm64() {
  local cpus=("$@") cpu worst=0
  [[ ${#cpus[@]} -gt 0 ]] || cpus=(max neoverse-n1 cortex-a72)
  for cpu in "${cpus[@]}"; do
    [[ -n ${isa_of[$cpu]:-} ]] || fail "unknown CPU model '$cpu'; there are ${!isa_of[*]}"
  done
  rm -rf build/arm64/results
  mkdir -p build/arm64/results
  cp "$(smollm2_file)" build/arm64/smollm2.gguf
  for cpu in "${cpus[@]}"; do
    say "test programs on $cpu"
    run_programs "$cpu" || worst=1
    answer_chat "$cpu" || worst=1
    draw_picture "$cpu" || worst=1
  done
  if [[ -n ${HEARTH_TEST_RESULTS:-} ]]; then
    mkdir -p "$HEARTH_TEST_RESULTS/gtest"
    cp build/arm64/results/*.xml "$HEARTH_TEST_RESULTS/gtest/"
  fi
  return "$worst"
}

# One at a time: whoever ends unmounts the root.
mkdir -p "$ROOTS"
exec {turn}>"$root.lock"
flock "$turn"
trap 'close_root "$root"' EXIT
make_cross_root
open_tree
case $action in
  build) build_arm64 ;;
  test)
    build_arm64
    test_arm64 "$@"
    ;;
  run) test_arm64 "$@" ;;
  exec) in_tree "$@" ;;
  *) fail "unknown action '$action'; usage: tools/arm64.sh [build | run [CPU...] | test [CPU...] | exec COMMAND...]" ;;
esac
