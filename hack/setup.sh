#!/usr/bin/env bash
# Makes sure that what `make build|demo|test|lint` needs is installed. On Debian
# and its kin root gets what is missing; anyone else is told in one line.
#
#   hack/setup.sh build|demo|test|lint
set -euo pipefail
cd "$(dirname "$0")/.."

# A line is a program or file, and the Debian package that brings it.
build_needs() {
  cat <<'LIST'
gcc gcc
/usr/include/stdlib.h libc6-dev
LIST
}

demo_needs() {
  local machine
  machine=$(uname -m)
  cat <<'LIST'
mmdebstrap mmdebstrap
openssl openssl
newuidmap uidmap
LIST
  case $machine in
  x86_64) echo "qemu-system-x86_64 qemu-system-x86" ;;
  aarch64) echo "qemu-system-aarch64 qemu-system-arm" ;;
  ppc64le) echo "qemu-system-ppc64 qemu-system-ppc" ;;
  riscv64) echo "qemu-system-riscv64 qemu-system-misc" ;;
  s390x) echo "qemu-system-s390x qemu-system-misc" ;;
  esac
}

test_needs() {
  demo_needs
  cat <<'LIST'
cpio cpio
zstd zstd
gzip gzip
xz xz-utils
crun crun
runc runc
setpriv util-linux
LIST
}

lint_needs() {
  echo "shellcheck shellcheck"
}

is_there() {
  case $1 in
  /*) [ -e "$1" ] ;;
  *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] ;;
  esac
}

# missing prints the packages that `needs` lists and the machine lacks.
missing() {
  local thing package
  while read -r thing package; do
    is_there "$thing" || echo "$package"
  done | sort -u
}

install_packages() {
  echo "installing $*" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q -y install --no-install-recommends "$@" >/dev/null 2>&1 && return
  # The lists of packages may be old, or not there at all.
  apt-get -q update >/dev/null
  apt-get -q -y install --no-install-recommends "$@" >/dev/null
}

check_go() {
  local wanted have
  wanted=$(sed -n 's/^go //p' go.mod)
  have=$(go env GOVERSION 2>/dev/null) || have=none
  # With GOTOOLCHAIN=auto, Go 1.21 and later fetch the version that go.mod asks for.
  if [ "$have" = none ] || [ "$(printf '%s\n' "$wanted" "${have#go}" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "Go $wanted or newer is needed and here is $have: see https://go.dev/dl/, unpack it to /usr/local/go and put /usr/local/go/bin into PATH" >&2
    exit 1
  fi
}

what=${1:?usage: hack/setup.sh build|demo|test|lint}
case $what in
build | demo | test | lint) ;;
*)
  echo "hack/setup.sh: no set-up for $what; there is build, demo, test and lint" >&2
  exit 2
  ;;
esac

mapfile -t packages < <({ build_needs && "${what}_needs"; } | missing)
if [ "${#packages[@]}" -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "missing here, by their names in Debian; install this distribution's equivalents: ${packages[*]}" >&2
    exit 1
  elif [ "$(id -u)" != 0 ]; then
    echo "missing packages; run: sudo apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 1
  fi
  install_packages "${packages[@]}"
fi
check_go

if [ "$what" = test ]; then
  # Without any list of packages apt cannot find the kernel that tests boot.
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ -z "$(apt-cache policy linux-image-cloud-amd64)" ]; then
    apt-get -q update >/dev/null
  fi
  if [ "$(id -u)" = 0 ] && [ -e hack/test-user.sh ]; then
    sh hack/test-user.sh
  fi
  hack/base.sh
fi
