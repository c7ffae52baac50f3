#!/usr/bin/env bash
# From a package repository to the login prompt of a node, with a line for each
# step and its time. Everything it makes is below .cache/demo; the user's own
# images and registries are not touched.
set -euo pipefail
cd "$(dirname "$0")/.."

demo=$PWD/.cache/demo
base=localhost/base/debian:12
image=localhost/compute:1
node=$demo/compute
mkdir -p "$demo"

rootcast() { bin/rootcast "$1" --root "$demo/store" "${@:2}"; }

# step says what is done now; done_ says how long that took.
began=0
step() {
  began=$SECONDS
  printf '\n==> %s\n' "$*"
}
done_() { printf '    %s (%d s)\n' "$*" "$((SECONDS - began))"; }

registry=
stop() {
  if [ -n "$registry" ]; then
    kill "$registry" 2>/dev/null || true
  fi
}
trap stop EXIT

step "A Debian base image, from the mirror that this machine's apt uses"
if rootcast inspect --quiet "$base" >/dev/null 2>&1; then
  done_ "$base is there from an earlier run"
else
  rootcast bootstrap -t "$base" debian:bookworm >/dev/null
  done_ "$base"
fi

step "The node's image, by recipes/debian12/compute"
# The password of the demo's node, whose hash enters the build as a secret.
password=rootcast
[ -s "$demo/root.hash" ] || (umask 077 && printf '%s\n' "$password" | openssl passwd -6 -stdin >"$demo/root.hash")
rootcast build -t "$image" --build-arg "BASE=$base" --build-arg ROOTCAST_SECRETS=demo \
  --secret "id=root_password_hash,src=$demo/root.hash" recipes/debian12/compute 2>&1 >/dev/null |
  hack/brief.sh
done_ "$image"

step "A registry on loopback"
go build -o "$demo/registry" ./hack/registry
exec {announced}< <(exec "$demo/registry" -dir "$demo/blobs")
registry=$!
read -r address <&"$announced"
done_ "$address"

step "Push"
# Plain HTTP is for loopback only; everywhere else --tls-verify stays on.
pushed=$(rootcast push --tls-verify=false "$image" "$address/hpc/compute:1")
done_ "$pushed"

step "Remove the image here, and pull it back by its digest"
rootcast rmi "$image" >/dev/null
pinned=$address/hpc/compute@${pushed##*@}
rootcast pull --tls-verify=false "$pinned" >/dev/null
done_ "$pinned"

step "Convert it to what a node boots from"
rootcast convert --rootimgdir "$node" --exlist recipes/debian12/compute/exlist "$pinned" >/dev/null
done_ "$node"

step "Verify every entry and digest of it"
rootcast verify --tls-verify=false "$node"
done_ "verified"

step "Boot it in QEMU, up to the login prompt"
rootcast boot --expect "login:" --timeout 300s "$node"
done_ "the node asks who logs in"

cat <<END

All of it took $SECONDS s.

  $node
      kernel, ramdisk.img and manifest.json: what a boot server hands to nodes
  $demo/store
      the images: bin/rootcast images --root $demo/store

Try next:
  bin/rootcast boot $node
      the same node with its console here; log in as root, password $password
  bin/rootcast inspect --root $demo/store $pinned
      what a node gets of the image
  edit recipes/debian12/compute/Containerfile and run make demo again
  README.md, "Step by step", for your own registry and nodes
END
