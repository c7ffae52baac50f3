#!/usr/bin/env bash
# Puts a kernel where the tests look for one that boot what was packed, once:
# .cache/kernels/vmlinuz-amd64, and its modules: .cache/kernels/root-amd64. It is
# Debian's newest for virtual machines, or where apt knows none this machine's own;
# ROOTCAST_TEST_KERNEL and ROOTCAST_TEST_MODULES name others.
set -euo pipefail
cd "$(dirname "$0")/.."

kernel=.cache/kernels/vmlinuz-amd64
modules=.cache/kernels/root-amd64
if [ -e "$kernel" ] && [ -d "$modules" ] || [ -n "${ROOTCAST_TEST_KERNEL:-}" ]; then
  exit 0
fi

mkdir -p .cache/kernels
tmp=$(mktemp -d "$PWD/.cache/kernel.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# debian_kernel downloads the package of a kernel, Debian's or Ubuntu's, and takes
# the kernel out of it.
debian_kernel() {
  local package
  command -v apt-get >/dev/null || return 1
  package=$(apt-cache depends linux-image-cloud-amd64:amd64 linux-image-virtual:amd64 2>/dev/null |
    sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$package" ] || return 1
  echo "fetching the kernel $package" >&2
  (cd "$tmp" && "$OLDPWD/hack/alive.sh" "still fetching" apt-get -q -o APT::Sandbox::User= download "$package" >/dev/null) &&
    dpkg-deb --fsys-tarfile "$tmp"/linux-image-*.deb | tar -C "$tmp" -x --wildcards './boot/vmlinuz-*' './lib/modules/*' &&
    mkdir -p "$tmp/root" && mv "$tmp/lib" "$tmp/root/" && keep_modules &&
    mv "$tmp"/boot/vmlinuz-* "$kernel"
}

# keep_modules does what the package's installation would do.
keep_modules() {
  local dir
  for dir in "$tmp"/root/lib/modules/*; do
    PATH=$PATH:/usr/sbin:/sbin depmod -b "$tmp/root" "${dir##*/}" || return 1
  done
  rm -rf "$modules"
  mv "$tmp/root" "$modules"
}

# own_kernel copies the kernel that runs here.
own_kernel() {
  local file
  [ "$(uname -m)" = x86_64 ] || return 1
  for file in "/usr/lib/modules/$(uname -r)/vmlinuz" "/boot/vmlinuz-$(uname -r)" /boot/vmlinuz-*; do
    if [ -r "$file" ]; then
      mkdir -p "$tmp/root/lib/modules" &&
        cp -r "/lib/modules/$(uname -r)" "$tmp/root/lib/modules/" && keep_modules &&
        cp "$file" "$tmp/vmlinuz" && mv "$tmp/vmlinuz" "$kernel"
      return
    fi
  done
  return 1
}

if ! debian_kernel && ! own_kernel; then
  echo "no amd64 kernel for the tests that boot one: apt knows none here (is its list of packages there? apt-get update); ROOTCAST_TEST_KERNEL=FILE names one" >&2
  exit 1
fi
