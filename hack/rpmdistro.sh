#!/usr/bin/env bash
# Makes a small RPM distribution for tests, once, where none can be fetched: Debian
# packages from the mirror that this machine's apt uses, as hack/rpmdistro/rules
# converts them, in the layout of an EL medium:
#
#   hack/rpmdistro.sh x86_64|aarch64
#
#   .cache/rpmdistro/9.4/ARCH/BaseOS                    a repository, signed, with groups and modules
#   .cache/rpmdistro/9.4/ARCH/extra/DIR                 packages without repository data
#   .cache/rpmdistro/9.4/ARCH/unsigned                  one that nobody signed
#   .cache/rpmdistro/9.4/ARCH/RPM-GPG-KEY-rootcast-test the key of all others
#
# The private key is this machine's, in .cache/rpmdistro/gnupg. Debian's rpm keeps
# its database in the home directory of who calls it: with HOME=.cache/rpmdistro/home
# the host's dnf and zypper have it in /var/lib/rpm of an --installroot, where the
# distribution's own look.
set -euo pipefail
cd "$(dirname "$0")/.."

version=9.4
machine=${1:?usage: hack/rpmdistro.sh x86_64|aarch64}
case $machine in
x86_64) arch=amd64 kernel=linux-image-cloud-amd64 ;;
aarch64) arch=arm64 kernel=linux-image-cloud-arm64 ;;
*)
  echo "hack/rpmdistro.sh: no distribution for the architecture $machine; there is x86_64 and aarch64" >&2
  exit 2
  ;;
esac

cache=$PWD/.cache/rpmdistro
here=$PWD/hack/rpmdistro
dest=$cache/$version/$machine
debs=$cache/debs/$arch
mkdir -p "$cache/$version" "$cache/home" "$debs/partial"
echo '%_dbpath /var/lib/rpm' >"$cache/home/.rpmmacros"

exec {lock}>"$cache/lock"
flock "$lock"
stamp=$(find hack/rpmdistro.sh "$here" -type f ! -name '*_test.go' -print0 | sort -z | xargs -0 sha256sum | sed "s|$PWD/||" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$dest/.stamp" 2>/dev/null)" = "$stamp" ] &&
  cmp -s "$dest/RPM-GPG-KEY-rootcast-test" "$cache/RPM-GPG-KEY-rootcast-test"; then
  exit 0
fi

tmp=$(mktemp -d "$cache/making.XXXXXX")
# The path of gpg-agent's socket must be a short one.
short=$(mktemp -d /tmp/rpmdistro.XXXXXX)
ln -s "$cache/gnupg" "$short/gnupg"
export GNUPGHOME=$short/gnupg
finish() {
  gpgconf --kill all || true
  rm -rf "$tmp" "$short"
}
trap finish EXIT
go build -o "$tmp/rpmdistro" ./hack/rpmdistro
export HOME=$cache/home

# apt_get is apt-get for the architecture, as on a machine where nothing is installed.
apt_get() {
  apt-get -q -o "Dir::State=$tmp/apt" -o "Dir::State::lists=$tmp/apt/lists" -o "Dir::State::status=$tmp/apt/status" \
    -o "Dir::Cache=$tmp/apt" -o "Dir::Cache::archives=$debs" -o "Dir::Etc::sourcelist=$tmp/apt/sources.list" \
    -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o APT::Sandbox::User= -o APT::Install-Recommends=false \
    -o APT::Keep-Downloaded-Packages=true -o Acquire::Languages=none -o Debug::NoLocking=true "$@"
}

# quietly runs a command whose output is of interest only when it fails.
quietly() {
  local log=$cache/$machine.log
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    echo "hack/rpmdistro.sh: $1 failed; all that it printed is in $log" >&2
    exit 1
  fi
}

# fetch downloads the packages of the rules and all that they depend on.
fetch() {
  local -a wanted
  mkdir -p "$tmp/apt/lists/partial"
  : >"$tmp/apt/status"
  # shellcheck disable=SC2016 # it is apt that fills in
  apt-get indextargets --format 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' 2>/dev/null | sort -u >"$tmp/apt/sources.list" || true
  if ! [ -s "$tmp/apt/sources.list" ]; then
    echo "apt names no mirror of Debian to make an RPM distribution from; is apt's list of packages there? apt-get update" >&2
    exit 1
  fi
  mapfile -t wanted < <("$tmp/rpmdistro" -kernel "$kernel" list)
  quietly apt_get update
  quietly apt_get --yes --download-only install "${wanted[@]}"
  # What an earlier run needed and this one does not.
  apt_get --yes --print-uris --reinstall -o "Dir::Cache::archives=$tmp/apt/archives" install "${wanted[@]}" |
    sed -n "s/^'[^']*' \([^ ]*\.deb\) .*/\1/p" | sort >"$tmp/debs"
  (cd "$debs" && find . -maxdepth 1 -name '*.deb' -printf '%f\n' | sort | comm -23 - "$tmp/debs" | xargs -r rm --)
}

# make_key makes the key of this machine, once.
make_key() {
  if ! [ -s "$cache/RPM-GPG-KEY-rootcast-test" ]; then
    rm -rf "$cache/gnupg"
    mkdir -m 0700 "$cache/gnupg"
    quietly gpg --batch --pinentry-mode loopback --passphrase '' --quick-generate-key \
      'rootcast test <test@rootcast.invalid>' rsa3072 sign never
    gpg --armor --export >"$tmp/key"
    mv "$tmp/key" "$cache/RPM-GPG-KEY-rootcast-test"
  fi
  cp "$cache/RPM-GPG-KEY-rootcast-test" "$tmp/out/"
}

# rpmbuild_one makes the packages of a spec file.
rpmbuild_one() {
  mkdir -p "$tmp/top/${1##*/}/tmp"
  if ! rpmbuild -bb --quiet --target "$machine-linux" --define "_topdir $tmp/top/${1##*/}" --define "_rpmdir $tmp/rpms" \
    --define "_tmppath $tmp/top/${1##*/}/tmp" \
    --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' --define '_build_id_links none' \
    --define '__os_install_post %{nil}' --define 'debug_package %{nil}' --define '_binary_payload w1.zstdio' \
    --define '_binaries_in_noarch_packages_terminate_build 0' --define '_buildhost localhost' --define "machine $machine" \
    --define "unpacked $tmp/unpacked" --define "key $tmp/out/RPM-GPG-KEY-rootcast-test" --define "kernel_version $kernel_version" \
    --define "kernel_release $kernel_release" --define "kernel_uname $kernel_uname" "$1" >"$1.log" 2>&1; then
    tail -n 15 "$1.log" >&2
    echo "rpmbuild of $1 failed" >&2
    return 1
  fi
}

# build makes all packages, a few at a time.
build() {
  local deb
  deb=$(sed -n 's/^\(linux-image-[0-9].*\.deb\)$/\1/p' "$tmp/debs")
  kernel_uname=${deb#linux-image-}
  kernel_uname=${kernel_uname%%_*}
  kernel_version=$(dpkg-deb --field "$debs/$deb" Version)
  kernel_release=${kernel_version##*-} kernel_version=${kernel_version%-*}
  mkdir -p "$tmp/rpms" "$tmp/specs" "$tmp/top"
  cp "$here"/specs/*.spec "$tmp/specs/"
  export -f rpmbuild_one
  export tmp machine kernel_version kernel_release kernel_uname
  # shellcheck disable=SC2016 # it is the inner bash that fills in
  find "$tmp/unpacked" "$tmp/specs" -maxdepth 2 -name '*.spec' -printf '%s %p\n' | sort -rn | cut -d' ' -f2- |
    xargs -P "$(nproc)" -I{} bash -c 'rpmbuild_one "$1"' rpmbuild_one {}
}

# sign signs what is not signed yet. An agent that is there before keeps several gpg
# from starting one each; should it be refused all the same, the rest is signed in turn.
sign() {
  local left jobs
  gpgconf --launch gpg-agent
  for jobs in "$(nproc)" 1 1; do
    mapfile -t left < <(unsigned)
    [ "${#left[@]}" -gt 0 ] || return 0
    printf '%s\0' "${left[@]}" | xargs -0 -P "$jobs" -n 40 rpmsign --addsign --define '_gpg_name rootcast test' \
      --define '__gpg /usr/bin/gpg' --define "_gpg_path $GNUPGHOME" || echo "signing $jobs at a time failed"
  done
  mapfile -t left < <(unsigned)
  [ "${#left[@]}" = 0 ]
}

# unsigned lists the packages that have no signature and are to have one.
unsigned() {
  find "$tmp/rpms" -name '*.rpm' ! -name 'rootcast-unsigned-*' >"$tmp/tosign"
  xargs -d '\n' -a "$tmp/tosign" rpm -qp --nosignature --queryformat '%{RSAHEADER:pgpsig}\t' | tr '\t' '\n' |
    paste "$tmp/tosign" - | sed -n 's/\t(none)$//p'
}

# arrange puts the packages where they belong.
arrange() {
  local rpms=$tmp/rpms out=$tmp/out
  mkdir -p "$out/BaseOS/Packages" "$out/extra/site" "$out/extra/tools" "$out/unsigned"
  mv "$rpms"/rootcast-unsigned-*.rpm "$out/unsigned/"
  mv "$rpms"/rootcast-tools-*.rpm "$out/extra/tools/"
  mv "$rpms"/rootcast-*.rpm "$out/extra/site/"
  mv "$rpms"/*.rpm "$out/BaseOS/Packages/"
}

# module_of prints the document of a stream, for modules.yaml.
module_of() {
  cat <<END
---
document: modulemd
version: 2
data:
  name: $1
  stream: "$2"
  version: 20240501000000
  context: rootcast
  arch: $machine
  summary: The language $1 $2
  description: >-
    The interpreter of the language $1 $2.
  license:
    module: [MIT]
  dependencies:
  - buildrequires:
      platform: [el9]
    requires:
      platform: [el9]
  profiles:
    common:
      rpms: [$1]
  artifacts:
    rpms:
    - $(rpm -qp --nosignature --queryformat '%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}' "$tmp/out/BaseOS/Packages/$1-$2".*.rpm)
...
END
}

modules() {
  module_of lua 5.3
  module_of lua 5.4
  cat <<'END'
---
document: modulemd-defaults
version: 1
data:
  module: lua
  stream: "5.4"
  profiles:
    "5.3": [common]
    "5.4": [common]
...
END
}

# index makes the repository's data, signed.
index() {
  local repo=$tmp/out/BaseOS
  modules >"$tmp/modules.yaml"
  quietly createrepo_c --no-database --workers "$(nproc)" --groupfile "$here/comps.xml" "$repo"
  # Some createrepo_c have taken in a modules.yaml that they found.
  grep -q 'type="modules"' "$repo/repodata/repomd.xml" || quietly modifyrepo_c --mdtype=modules "$tmp/modules.yaml" "$repo/repodata"
  gpg --batch --armor --detach-sign --output "$repo/repodata/repomd.xml.asc" "$repo/repodata/repomd.xml"
  cp "$tmp/out/RPM-GPG-KEY-rootcast-test" "$repo/repodata/repomd.xml.key"
}

# label writes what tells which medium it is.
label() {
  local now=1714773463
  printf '%s\nRocky Linux %s\n%s\n' "$now.766046" "$version" "$machine" >"$tmp/out/.discinfo"
  cat >"$tmp/out/.treeinfo" <<END
[general]
arch = $machine
family = Rocky Linux
name = Rocky Linux $version
packagedir = BaseOS/Packages
platforms = $machine
repository = BaseOS
timestamp = $now
variant = BaseOS
variants = BaseOS
version = $version

[header]
type = productmd.treeinfo
version = 1.2

[release]
name = Rocky Linux
short = Rocky
version = $version

[tree]
arch = $machine
build_timestamp = $now
platforms = $machine
variants = BaseOS

[variant-BaseOS]
id = BaseOS
name = BaseOS
packages = BaseOS/Packages
repository = BaseOS
type = variant
uid = BaseOS
END
}

chmod 0755 "$tmp"
mkdir "$tmp/out"
echo "making an RPM distribution for $machine out of Debian packages" >&2
make_key
fetch
mapfile -t files < <(sed "s|^|$debs/|" "$tmp/debs")
"$tmp/rpmdistro" -kernel "$kernel" -out "$tmp/unpacked" convert "${files[@]}"
build
quietly sign
arrange
index
label
echo "$stamp" >"$tmp/out/.stamp"
if [ -e "$dest" ]; then
  mv "$dest" "$tmp/old"
fi
mv "$tmp/out" "$dest"
echo "it is in ${dest#"$PWD"/}: $(find "$dest/BaseOS/Packages" -name '*.rpm' | wc -l) packages ($SECONDS s)" >&2
