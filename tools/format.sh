#!/bin/bash
# tools/format.sh [--check] [FILE...]: formats C++ and CUDA files as .clang-format says; with --check it only names the
# files that differ, and fails if there are any. Without files: those that differ from the last commit. `.` is the whole
# tree.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
source tools/lib.sh

check=false files=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --check) check=true ;;
    -*) fail "unknown argument '$1'; usage: tools/format.sh [--check] [FILE...]" ;;
    *) files+=("$1") ;;
  esac
  shift
done
if [[ ${#files[@]} -eq 0 ]]; then
  mapfile -t files < <(changed_sources)
elif [[ ${files[*]} == . ]]; then
  mapfile -t files < <(git ls-files -co --exclude-standard -- "${SOURCES[@]}")
fi
[[ ${#files[@]} -gt 0 ]] || { say "no file to look at"; exit 0; }

for file in "${files[@]}"; do [[ -f $file ]] || fail "no file $file"; done
install_packages format
formatter=$(clang_tool clang-format)
if ! $check; then
  "$formatter" -i "${files[@]}"
  exit
fi
differing=()
for file in "${files[@]}"; do
  "$formatter" "$file" | cmp -s "$file" - || differing+=("$file")
done
[[ ${#differing[@]} -gt 0 ]] || exit 0
printf '%s\n' "${differing[@]}"
shown=${differing[*]:0:3}
[[ ${#differing[@]} -le 3 ]] || shown+=" ..."
fail "${#differing[@]} of ${#files[@]} files are not as .clang-format says; run: tools/format.sh $shown"
