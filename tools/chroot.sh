#!/bin/bash
# tools/chroot.sh SUITE [run|test] [ARGUMENT...]: clones HEAD into a fresh minimal root of a Debian release (bookworm,
# trixie) and runs `./run --once` or `./test` there, as a newcomer would; prints how long it took.
# `tools/chroot.sh SUITE base` only makes the base root, `... exec COMMAND...` runs a command in the fresh clone.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
source tools/lib.sh
# shellcheck source=tools/roots.sh
source tools/roots.sh

suite=${1:-}
action=${2:-run}
shift $(($# < 2 ? $# : 2))
case $action in
  base) command=() ;;
  run) command=(./run --once "$@") ;;
  test) command=(./test "$@") ;;
  exec) command=("$@") ;;
  *) suite= ;;
esac
[[ -n $suite ]] || fail "usage: tools/chroot.sh bookworm|trixie [run|test|base|exec] [argument...]"
[[ $(id -u) -eq 0 ]] || fail "tools/chroot.sh needs root, for debootstrap, chroot and mount"
have debootstrap || as_root apt-get install -y --no-install-recommends debootstrap

make_base_root "$suite"
[[ $action != base ]] || exit 0

work=$(mktemp -d "$ROOTS/$suite-XXXXXX")
trap 'close_root "$work"; rm -rf --one-file-system "$work"' EXIT
tar -C "$work" -xf "$ROOTS/$suite.tar"
root_settings "$work"
git clone -q --no-hardlinks "$ROOT" "$work/root/hearth"
open_root "$work"

say "$suite: ${command[*]} at $(git rev-parse --short HEAD)"
start=$SECONDS
status=0
in_root "$work" /bin/bash -c 'cd /root/hearth && exec "$@"' bash "${command[@]}" </dev/null || status=$?
say "$suite: ${command[*]} ended with $status after $((SECONDS - start)) s"
exit "$status"
