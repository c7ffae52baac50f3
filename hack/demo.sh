#!/usr/bin/env bash
# From a package repository to the login prompt of a node, with a line for each
# step and its time. Everything it makes is below .cache/demo; the user's own
# images and registries are not touched.
#
#   hack/demo.sh [ARCH]      a node of another architecture, such as arm64 or ppc64le
set -euo pipefail
cd "$(dirname "$0")/.."

demo=$PWD/.cache/demo
arch=${1:-}
case $arch in # as images call it
aarch64) arch=arm64 ;;
x86_64) arch=amd64 ;;
ppc64el) arch=ppc64le ;;
esac
platform=(${arch:+--platform "linux/$arch"})
base=localhost/base/debian:12${arch:+-$arch}
image=localhost/compute:1${arch:+-$arch}
node=$demo/compute${arch:+-$arch}
pinfile=$demo/pinned${arch:+-$arch}
mkdir -p "$demo"

rootcast() { bin/rootcast "$1" --root "$demo/store" "${@:2}"; }

# step says what is done now; done_ says how long that took.
began=0
step() {
  began=$SECONDS
  printf '\n==> %s\n' "$*"
}
done_() { printf '    %s (%d s)\n' "$*" "$((SECONDS - began))"; }

# run passes on the lines of a command's messages that match a pattern, and keeps
# all of them in a log; the result is what the command prints on standard output.
result=
run() {
  local log=$demo/$1.log pattern=$2 tail=$3
  shift 3
  if ! rootcast "$@" 2>&1 >"$demo/result" | hack/brief.sh "$log" "$pattern" "$tail"; then
    tail -n 15 "$log" >&2
    echo "rootcast $1 failed; all that it printed is in $log" >&2
    exit 1
  fi
  result=$(<"$demo/result")
}

registry=
stop() {
  if [ -n "$registry" ]; then
    kill "$registry" 2>/dev/null || true
  fi
}
trap stop EXIT

if [ -n "$arch" ]; then
  step "Programs of $arch run here"
  if bin/rootcast -q binfmt status "$arch" >"$demo/binfmt.log" 2>&1; then
    done_ "they do"
  else
    echo "    they do not yet: registering an emulator with the kernel, as rootcast binfmt install $arch does"
    bin/rootcast binfmt install "$arch"
    done_ "they do until the next boot; rootcast binfmt remove $arch takes the emulator away"
  fi
fi

step "A Debian base image, from the mirror that this machine's apt uses"
# What an earlier run pulled has its registry's address in its name.
if [ -s "$pinfile" ]; then
  rootcast rmi --quiet "$(<"$pinfile")" >/dev/null 2>&1 || true
fi
if rootcast inspect --quiet "$base" >/dev/null 2>&1; then
  done_ "$base is there from an earlier run"
else
  run bootstrap . 0 bootstrap "${platform[@]}" ${MIRROR:+--mirror "$MIRROR"} -t "$base" debian:bookworm
  done_ "$base"
fi

step "The node's image, by recipes/debian12/compute"
# The password of the demo's node, whose hash enters the build as a secret.
password=rootcast
[ -s "$demo/root.hash" ] || (umask 077 && printf '%s\n' "$password" | openssl passwd -6 -stdin >"$demo/root.hash")
run build 'STEP .*: (FROM|RUN|COPY)' 0 build "${platform[@]}" -t "$image" --build-arg "BASE=$base" \
  --secret "id=root_password_hash,src=$demo/root.hash" recipes/debian12/compute
done_ "$image"

step "A registry on loopback"
hack/alive.sh "    still compiling" go build -o "$demo/registry" ./hack/registry
rm -rf "$demo/blobs"
exec {announced}< <(exec "$demo/registry" -dir "$demo/blobs")
registry=$!
read -r address <&"$announced"
done_ "$address"

step "Push"
# Plain HTTP is for loopback only; everywhere else --tls-verify stays on.
run push '' 0 push --tls-verify=false "$image" "$address/hpc/compute:1"
pinned=$address/hpc/compute@${result##*@}
done_ "$result"

step "Remove the image here, and pull it back by its digest"
rootcast rmi "$image" >/dev/null
run pull '' 0 pull "${platform[@]}" --tls-verify=false "$pinned"
printf '%s\n' "$pinned" >"$pinfile"
done_ "$pinned"

step "Convert it to what a node boots from"
run convert '^(warning|kernel|rootimg|initrd)' 0 convert "${platform[@]}" --boot netroot --rootimgdir "$node" --exlist recipes/debian12/compute/exlist "$pinned"
done_ "$node"

step "Verify every entry and digest of it"
run verify '^(checking|comparing)' 0 verify "$node"
done_ "$result"

step "Boot it in QEMU, up to the login prompt"
patience=5m
if [ -n "$arch" ]; then
  patience=20m # it is emulated down to its last instruction
fi
run boot '^booting' 4 boot --expect "login:" --timeout "$patience" "$node"
done_ "the node asks who logs in"

cat <<END

All of it took $SECONDS s.

  $node
      kernel, initrd-stateless.gz, rootimg.cpio.zst and manifest.json: what a boot server hands to nodes
  $demo/store
      the images: bin/rootcast images --root $demo/store
  $demo/*.log
      all that the steps printed, the node's console among it

Try next:
  bin/rootcast boot $node
      the same node with its console here; log in as root, password $password
  bin/rootcast inspect --root $demo/store $pinned
      what a node gets of the image
  edit recipes/debian12/compute/Containerfile and run make demo${arch:+ ARCH=$arch} again
  README.md, "Step by step", for your own registry and nodes
END
