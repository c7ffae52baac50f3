#!/usr/bin/env bash
# Makes the Debian base image that the demo and the tests build on, once, and
# prints nothing if it is there already:
#
#   .cache/base-debian12-ARCH.oci.tar    an archive that rootcast and podman pull
#   .cache/kernels/vmlinuz-amd64         a kernel, for tests that boot what they packed
#   .cache/test/vmlinuz-VERSION          the same one
#
# ARCH is Debian's name of this machine's architecture. ROOTCAST_TEST_KERNEL names
# another kernel than the newest one of Debian for virtual machines.
set -euo pipefail
cd "$(dirname "$0")/.."

arch=$(dpkg --print-architecture 2>/dev/null || uname -m)
base=.cache/base-debian12-$arch.oci.tar
kernel=.cache/kernels/vmlinuz-amd64

if [ -e "$base" ] && { [ -e "$kernel" ] || [ -n "${ROOTCAST_TEST_KERNEL:-}" ]; }; then
  exit 0
fi

# A store of its own, which goes when this ends.
mkdir -p .cache/kernels .cache/test
tmp=$(mktemp -d "$PWD/.cache/base.XXXXXX")
rootcast() { bin/rootcast "$1" --root "$tmp/store" "${@:2}"; }
drop() {
  # An ordinary user's store has files of subordinate IDs, which only rootcast may remove.
  [ ! -d "$tmp/store" ] || rootcast rmi --quiet --all >/dev/null 2>&1 || true
  rm -rf "$tmp"
}
trap drop EXIT

if [ ! -e "$base" ]; then
  echo "making the base image $base" >&2
  rootcast bootstrap -t localhost/base/debian:12 debian:bookworm >/dev/null
  rootcast push --quiet localhost/base/debian:12 "oci-archive:$tmp/base.tar:localhost/base/debian:12" >/dev/null
  mv "$tmp/base.tar" "$base"
fi

# unpack_kernel downloads the package of a kernel and takes the kernel out of it.
unpack_kernel() {
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  if [ -z "$package" ]; then
    echo "apt knows no kernel here (is its list of packages there? apt-get update); tests that boot need ROOTCAST_TEST_KERNEL=FILE, any amd64 kernel" >&2
    exit 1
  fi
  echo "fetching the kernel $package" >&2
  (cd "$tmp" && apt-get -q -o APT::Sandbox::User= download "$package" >/dev/null)
  mkdir "$tmp/kernel"
  dpkg-deb --fsys-tarfile "$tmp"/linux-image-*.deb | tar -C "$tmp/kernel" -x --wildcards './boot/vmlinuz-*'
  cp "$tmp"/kernel/boot/vmlinuz-* .cache/test/
  mv "$tmp"/kernel/boot/vmlinuz-* "$kernel"
}

if [ ! -e "$kernel" ] && [ -z "${ROOTCAST_TEST_KERNEL:-}" ] && [ "$arch" = amd64 ]; then
  unpack_kernel
fi
