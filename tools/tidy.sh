#!/bin/bash
# tools/tidy.sh [MODULE | FILE...]: clang-tidy with the checks of .clang-tidy over .cpp files: those of modules such as
# src/text or apps, or single ones; without an argument those that differ from the last commit. Compile commands are
# those of the preset `ci`.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
source tools/lib.sh

for place in "$@"; do
  [[ -e $place ]] || fail "no file or folder $place; usage: tools/tidy.sh [MODULE | FILE...], such as src/text"
done
if [[ $# -eq 0 ]]; then
  mapfile -t files < <(changed_sources | grep '\.cpp$')
else
  mapfile -t files < <(git ls-files -co --exclude-standard -- "$@" | grep '\.cpp$')
fi
[[ ${#files[@]} -gt 0 ]] || { say "no .cpp file to look at"; exit 0; }

commands=build/ci/compile_commands.json
[[ -f $commands ]] || fail "there is no $commands; it comes with: cmake --preset ci"
# Files of other presets, such as the fuzz targets, have no command there.
known=()
for file in "${files[@]}"; do
  if grep -qF "/$file\"" "$commands"; then known+=("$file"); else say "$file is not in $commands: left out"; fi
done
[[ ${#known[@]} -gt 0 ]] || exit 0

install_packages tidy
tidy=$(clang_tool clang-tidy)
say "$tidy over ${#known[@]} files"
# The commands are GCC's; its own warning names mean nothing to clang.
printf '%s\0' "${known[@]}" | xargs -0 -n 1 -P "$(jobs_for_build)" "$tidy" -p build/ci --quiet \
  --extra-arg=-Wno-unknown-warning-option --warnings-as-errors='*'
