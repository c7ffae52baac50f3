#!/usr/bin/env bash
# Makes sure that what `make build|demo|test|bench|lint` needs is installed. Where there
# is apt-get root gets what is missing; anyone else is told the command that does it.
#
#   hack/setup.sh build|demo|test|bench|lint
#   hack/setup.sh demo ARCH                  for nodes of another architecture
set -euo pipefail
cd "$(dirname "$0")/.."

# A line is a program or file, and the Debian package that brings it. libc.a is
# the C library that gcc links a static program with.
build_needs() {
  cat <<'LIST'
gcc gcc
libc.a libc6-dev
LIST
}

# machine is what uname -m says on the nodes that are booted.
machine=$(uname -m)

demo_needs() {
  cat <<'LIST'
mmdebstrap mmdebstrap
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
openssl openssl
newuidmap uidmap
LIST
  if [ "$machine" != "$(uname -m)" ]; then
    cat <<LIST
qemu-$machine-static qemu-user-static
arch-test arch-test
LIST
  fi
  case $machine in
  x86_64) echo "qemu-system-x86_64 qemu-system-x86" ;;
  aarch64) echo "qemu-system-aarch64 qemu-system-arm" ;;
  ppc64le) echo "qemu-system-ppc64 qemu-system-ppc" ;;
  riscv64) echo "qemu-system-riscv64 qemu-system-misc" ;;
  s390x) echo "qemu-system-s390x qemu-system-misc" ;;
  esac
}

# machine_of is what uname -m says on a machine of an architecture.
machine_of() {
  case $1 in
  amd64 | x86_64) echo x86_64 ;;
  arm64 | aarch64) echo aarch64 ;;
  ppc64le | ppc64el) echo ppc64le ;;
  riscv64 | s390x) echo "$1" ;;
  *)
    echo "hack/setup.sh: no demo for the architecture $1; there is amd64, arm64, ppc64le, riscv64 and s390x" >&2
    exit 2
    ;;
  esac
}

# igzip_needs: elsewhere there is no igzip that is faster than the library.
igzip_needs() {
  case $(uname -m) in
  x86_64 | aarch64) echo "igzip isal" ;;
  esac
}

test_needs() {
  demo_needs
  igzip_needs
  cat <<'LIST'
cpio cpio
zstd zstd
gzip gzip
xz xz-utils
lz4 lz4
setfattr attr
getcap libcap2-bin
tar2sqfs squashfs-tools-ng
unsquashfs squashfs-tools
crun crun
runc runc
find findutils
flock util-linux
rpmbuild rpm
dnf dnf
zypper zypper
createrepo_c createrepo-c
gpg gnupg
dpkg-deb dpkg
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
depmod kmod
mkfs.ext4 e2fsprogs
losetup mount
db_load db-util
qemu-s390x-static qemu-user-static
qemu-system-x86_64 qemu-system-x86
qemu-system-aarch64 qemu-system-arm
qemu-system-ppc64 qemu-system-ppc
arch-test arch-test
unshare util-linux
ssh openssh-client
/usr/sbin/sshd openssh-server
xorriso xorriso
genisoimage genisoimage
bsdtar libarchive-tools
7z p7zip-full
mkudffs udftools
LIST
}

bench_needs() {
  igzip_needs
  cat <<'LIST'
mmdebstrap mmdebstrap
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
zstd zstd
cpio cpio
pigz pigz
tar tar
mksquashfs squashfs-tools
tar2sqfs squashfs-tools-ng
umoci umoci
skopeo skopeo
buildah buildah
findmnt util-linux
qemu-system-x86_64 qemu-system-x86
LIST
  if [ "$(uname -m)" != aarch64 ]; then
    cat <<'LIST'
qemu-aarch64-static qemu-user-static
arch-test arch-test
LIST
  fi
}

lint_needs() {
  echo "shellcheck shellcheck"
}

is_there() {
  case $1 in
  /*) [ -e "$1" ] ;;
  *.a) [ -e "$(gcc -print-file-name="$1" 2>/dev/null)" ] ;;
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

# elsewhere prints for Debian packages what dnf, zypper or pacman calls them.
elsewhere() {
  local column names package row
  case $1 in
  dnf) column=1 ;;
  zypper) column=2 ;;
  pacman) column=3 ;;
  esac
  shift
  # Debian's name, and those of dnf, zypper and pacman where they differ.
  names='
libc6-dev glibc-static glibc-devel-static glibc
uidmap shadow-utils shadow shadow
qemu-system-x86 qemu-system-x86 qemu-x86 qemu-system-x86
qemu-system-arm qemu-system-aarch64 qemu-arm qemu-system-aarch64
qemu-system-ppc qemu-system-ppc qemu-ppc qemu-system-ppc
qemu-system-misc qemu-system-riscv,qemu-system-s390x qemu-extra,qemu-s390x qemu-system-riscv,qemu-system-s390x
debian-archive-keyring debian-keyring debian-archive-keyring debian-archive-keyring
xz-utils xz xz xz
isal isa-l-tools isa-l isa-l
libcap2-bin libcap libcap-progs libcap
squashfs-tools squashfs-tools squashfs squashfs-tools
shellcheck ShellCheck ShellCheck shellcheck
rpm rpm-build rpm-build rpm-tools
createrepo-c createrepo_c createrepo_c createrepo_c
gnupg gnupg2 gpg2 gnupg
db-util libdb-utils db48-utils db5.3
qemu-user-static qemu-user-static qemu-linux-user qemu-user-static
openssh-client openssh-clients openssh-clients openssh
openssh-server openssh-server openssh-server openssh
gnupg gnupg2 gpg2 gnupg
createrepo-c createrepo_c createrepo_c createrepo_c
zypper zypper zypper zypper
xorriso xorriso xorriso libisoburn
genisoimage genisoimage mkisofs cdrtools
libarchive-tools bsdtar bsdtar libarchive
p7zip-full p7zip-plugins 7zip 7zip
udftools udftools udftools udftools
'
  for package; do
    if read -ra row < <(grep "^$package " <<<"$names"); then
      package=${row[column]}
    fi
    printf ' %s' "${package//,/ }"
  done
}

# say_how prints the command that installs packages here.
say_how() {
  local sudo=
  [ "$(id -u)" = 0 ] || sudo='sudo '
  if command -v apt-get >/dev/null; then
    echo "missing packages; run: ${sudo}apt-get install --no-install-recommends $*"
  elif command -v dnf >/dev/null; then
    echo "missing packages; run: ${sudo}dnf install$(elsewhere dnf "$@")"
  elif command -v zypper >/dev/null; then
    echo "missing packages; run: ${sudo}zypper install$(elsewhere zypper "$@")"
  elif command -v pacman >/dev/null; then
    echo "missing packages; run: ${sudo}pacman -S --needed$(elsewhere pacman "$@")"
  else
    echo "missing here, by their names in Debian; install this distribution's equivalents: $*"
  fi >&2
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" 2>&1 </dev/null | hack/brief.sh .cache/setup.log >&2
}

# start_no_sshd keeps the package from starting sshd, now and when the machine
# boots: the tests start one of their own. It is called before and after.
start_no_sshd() {
  local policy=/usr/sbin/policy-rc.d
  if [ "$1" = after ]; then
    systemctl --quiet disable ssh.service ssh.socket >/dev/null 2>&1 || true
  elif [ ! -e "$policy" ]; then
    # shellcheck disable=SC2064 # the name as it is now
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
  fi
}

install_packages() {
  echo "installing $*" >&2
  mkdir -p .cache
  if [[ " $* " == *" openssh-server "* ]]; then
    start_no_sshd before
    fetch_packages "$@"
    start_no_sshd after
  else
    fetch_packages "$@"
  fi
}

fetch_packages() {
  apt_get install --no-install-recommends "$@" && return
  echo "fetching apt's lists of packages, which may be old or missing" >&2
  if ! apt_get update || ! apt_get install --no-install-recommends "$@"; then
    tail -n 15 .cache/setup.log >&2
    exit 1
  fi
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

what=${1:?usage: hack/setup.sh build|demo|test|bench|lint}
case $what in
build | demo | test | bench | lint) ;;
*)
  echo "hack/setup.sh: no set-up for $what; there is build, demo, test, bench and lint" >&2
  exit 2
  ;;
esac

if [ -n "${2:-}" ]; then
  machine=$(machine_of "$2")
fi
mapfile -t packages < <({ build_needs && "${what}_needs"; } | missing)
if [ "${#packages[@]}" -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say_how "${packages[@]}"
    exit 1
  fi
  install_packages "${packages[@]}"
fi
check_go

if [ "$what" = test ]; then
  if [ "$(id -u)" = 0 ]; then
    # Without any list of packages apt cannot find the kernel that tests boot.
    if command -v apt-get >/dev/null && [ -z "$(apt-cache policy linux-image-cloud-amd64 linux-image-virtual)" ]; then
      mkdir -p .cache
      apt_get update
    fi
    hack/test-user.sh
  fi
  hack/kernel.sh
  # Where apt gets no Debian packages there is nothing to make it of, and the tests
  # that install from it say so.
  for rpm_machine in x86_64 aarch64; do
    hack/rpmdistro.sh "$rpm_machine" || [ "${CI:-}" != true ]
  done
fi
if [ "$what" = test ] || [ "$what" = bench ]; then
  hack/erofs.sh
fi
if [ "$what" = bench ]; then
  bin/rootcast --quiet binfmt install arm64
fi
if [ "$what" = test ] && [ "$(id -u)" = 0 ]; then
  # In a container it may not be permitted; the tests that need it say so.
  bin/rootcast --quiet binfmt install amd64 arm64 ppc64le || true
fi
