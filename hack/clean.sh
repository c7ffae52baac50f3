#!/usr/bin/env bash
# Removes what building, the demo and the tests leave in the tree.
set -euo pipefail
cd "$(dirname "$0")/.."

# An ordinary user's store has files of subordinate IDs: rootcast removes those.
if [ -d .cache/demo/store ] && [ -x bin/rootcast ]; then
  bin/rootcast rmi --quiet --root .cache/demo/store --all --force >/dev/null 2>&1 || true
  bin/rootcast prune --quiet --root .cache/demo/store --all >/dev/null 2>&1 || true
fi
rm -rf bin .bin .cache convert/firststage/bin/rootcast-init-*
