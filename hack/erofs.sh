#!/usr/bin/env bash
# Puts erofs-utils that can read a tar where the tests look for them, once:
# .cache/erofs/bin. Where the machine's own can, there is nothing to do; others,
# as Debian 12 has them, get Debian 13's, with the libraries that those need.
set -euo pipefail
cd "$(dirname "$0")/.."

if mkfs.erofs --help 2>&1 | grep -q -e --mkfs-time; then
  exit 0
fi
bin=.cache/erofs/bin
if [ -x "$bin/mkfs.erofs" ] && "$bin/mkfs.erofs" --version >/dev/null 2>&1; then
  exit 0
fi

# mirror is where this machine's apt gets Debian from.
mirror() {
  local uri
  # shellcheck disable=SC2016 # it is apt that fills in
  uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1) || true
  [ -n "$uri" ] || {
    echo "apt names no mirror of Debian to fetch erofs-utils 1.8 from; install them, or is apt's list of packages there? apt-get update" >&2
    exit 1
  }
  echo "$uri"
}

mkdir -p .cache
rm -rf .cache/erofs
tmp=$(mktemp -d "$PWD/.cache/erofs.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
chmod 0755 "$tmp"
from=$(mirror)
echo "fetching erofs-utils of Debian 13 from $from" >&2
if ! hack/alive.sh "still fetching" mmdebstrap --quiet --variant=extract --include=erofs-utils \
  --keyring=/usr/share/keyrings/debian-archive-keyring.gpg trixie "$tmp/root" "$from" >"$tmp/log" 2>&1; then
  tail -n 5 "$tmp/log" >&2
  echo "no erofs-utils that read a tar (1.8 or newer): this machine has none and Debian 13's could not be fetched" >&2
  exit 1
fi

mkdir "$tmp/bin"
for program in mkfs.erofs fsck.erofs dump.erofs; do
  # The program finds its own loader and libraries, wherever this directory lies.
  cat >"$tmp/bin/$program" <<'WRAPPER'
#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")/root
for loader in "$root"/usr/lib64/ld-linux*.so.* "$root"/usr/lib/ld-linux*.so.* "$root"/usr/lib64/ld64.so.* "$root"/usr/lib/ld64.so.*; do
  [ -e "$loader" ] && break
done
exec "$loader" --library-path "$(echo "$root"/usr/lib/*-linux-gnu)" "$root/usr/bin/$(basename "$0")" "$@"
WRAPPER
  chmod 0755 "$tmp/bin/$program"
done
"$tmp/bin/mkfs.erofs" --version >&2
rm "$tmp/log"
mv "$tmp" .cache/erofs
trap - EXIT
