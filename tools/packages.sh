# shellcheck shell=bash
# The distribution packages the project needs, by purpose. Debian 12 and 13 and Ubuntu 24.04 have all of them; where a
# name differs between releases, first_offered picks the one that apt knows.
# Sourced by tools/lib.sh; `tools/packages.sh build test` prints the lists.

# first_offered NAME...: the first package that apt can install here; the last name if none is known yet.
first_offered() {
  local name
  for name in "$@"; do
    if apt-cache show --no-all-versions "$name" >/dev/null 2>&1; then
      echo "$name"
      return
    fi
  done
  echo "$name"
}

# What every build links or includes; docs/dependencies.md says why each is here.
libraries() {
  first_offered libboost1.83-dev libboost1.81-dev
  echo libcurl4-openssl-dev libssl-dev zlib1g-dev
  echo nlohmann-json3-dev libcli11-dev libfmt-dev libspdlog-dev libtomlplusplus-dev
  echo libpcre2-dev libutf8proc-dev libgtest-dev
  echo libpng-dev libjpeg-dev libwebp-dev libsqlite3-dev libyaml-cpp-dev liburing-dev
}

# The browser that tests drive: 115 MB to fetch, 360 MB on disk. Ubuntu has it as a snap only; the tests that need it
# say that they are skipped there.
browser() { grep -qx 'ID=ubuntu' /etc/os-release || echo chromium; }

packages_for() {
  case $1 in
    build)
      echo g++ cmake ninja-build ccache pkg-config git ca-certificates curl python3 python3-venv zstd
      libraries
      ;;
    test) echo shellcheck && browser ;;
    format) first_offered clang-format-16 clang-format-17 clang-format-18 clang-format-19 ;;
    tidy) first_offered clang-tidy-16 clang-tidy-17 clang-tidy-18 clang-tidy-19 ;;
    fuzz)
      local clang
      clang=$(first_offered clang-16 clang-17 clang-18 clang-19)
      echo "$clang" "libclang-rt-${clang#clang-}-dev" ;;
    # Inside the cross-compiling root only: the foreign architecture never reaches the machine itself. Architecture-
    # independent headers come with the native packages; yaml-cpp's cannot be there for two architectures at once.
    arm64)
      packages_for build | tr ' ' '\n' | grep -vx libyaml-cpp-dev
      echo crossbuild-essential-arm64 qemu-user
      local name
      for name in libcurl4-openssl-dev libssl-dev zlib1g-dev libfmt-dev libspdlog-dev libpcre2-dev libutf8proc-dev \
        libgtest-dev libpng-dev libjpeg-dev libwebp-dev libsqlite3-dev libyaml-cpp-dev liburing-dev; do
        echo "$name:arm64"
      done
      ;;
    *)
      echo "packages.sh: no list named '$1'; there are build, test, format, tidy, fuzz and arm64" >&2
      return 1
      ;;
  esac
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -euo pipefail
  for list in "${@:-build}"; do packages_for "$list"; done
fi
