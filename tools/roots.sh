# shellcheck shell=bash
# Minimal Debian roots to build and test in, for tools/chroot.sh and tools/arm64.sh. Sourced after tools/lib.sh; needs
# root and debootstrap. The mirror, the proxy and certificate settings and pip's configuration are this machine's own.
#
# A base root is made once and kept as a tar file; a root in use is a copy of it with /proc and /dev bound in.

ROOTS=${HEARTH_CHROOTS:-$CACHE/chroots}

# root_mirror: where this machine's own Debian packages come from.
root_mirror() {
  # shellcheck disable=SC2016 # apt's placeholders
  local mirror=${HEARTH_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)}
  [[ -n $mirror ]] || fail "apt knows no Debian mirror here; name one in HEARTH_MIRROR"
  echo "$mirror"
}

# root_settings DIRECTORY: network name resolution, certificates, apt and pip settings as on this machine.
root_settings() {
  local directory=$1 file
  cp -L /etc/resolv.conf "$directory/etc/resolv.conf"
  if [[ -f /etc/pip.conf ]]; then cp /etc/pip.conf "$directory/etc/pip.conf"; fi
  for file in /etc/apt/apt.conf.d/* /etc/apt/apt.conf; do
    if [[ -f $file ]] && grep -qE '^ *Acquire::(http|https|ftp|Check|Retries)' "$file"; then
      cp "$file" "$directory/etc/apt/apt.conf.d/99host-$(basename "$file")"
    fi
  done
  for file in /usr/local/share/ca-certificates/*.crt; do
    if [[ -f $file ]]; then cp "$file" "$directory/usr/local/share/ca-certificates/"; fi
  done
  chroot "$directory" update-ca-certificates >/dev/null 2>&1 || true
}

# make_base_root SUITE: the tar file of a minimal root with certificates and nothing else.
make_base_root() {
  local suite=$1 tar=$ROOTS/$1.tar making=$ROOTS/$1.making
  [[ ! -f $tar ]] || return 0
  say "making the base root of $suite"
  mkdir -p "$ROOTS"
  rm -rf --one-file-system "$making"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$making" "$(root_mirror)" \
    >"$ROOTS/$suite.log" 2>&1 ||
    { tail -n 20 "$ROOTS/$suite.log" >&2; fail "debootstrap could not make $suite"; }
  tar -C "$making" --one-file-system -cf "$tar.part" .
  mv "$tar.part" "$tar"
  rm -rf --one-file-system "$making"
}

# open_root DIRECTORY: binds what programs expect. Pair it with close_root in a trap.
open_root() {
  mountpoint -q "$1/proc" || mount -t proc proc "$1/proc"
  mountpoint -q "$1/dev" || mount --rbind --make-rslave /dev "$1/dev"
}

close_root() {
  local point
  # Deepest first; a lazy unmount leaves nothing behind even when a program of the root still runs.
  for point in src dev proc; do
    if mountpoint -q "$1/$point"; then umount -R -l "$1/$point"; fi
  done
}

# in_root DIRECTORY COMMAND...: with a clean environment but for this machine's proxy, certificate and pip settings.
in_root() {
  local directory=$1 name passed=()
  shift
  while IFS= read -r name; do
    [[ $name == PIP_FIND_LINKS ]] || passed+=("$name=${!name}")
  done < <(compgen -e | grep -E '^(PIP_|HEARTH_ROOT_)|_(proxy|PROXY)$|^(SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)$')
  chroot "$directory" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    "${passed[@]}" "$@"
}
