#!/usr/bin/env bash
# Lints Go and shell. The tools' versions stand in hack/tools/go.mod; they are
# built into .bin when that changes, which takes some minutes the first time.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.bin/$(cat hack/tools/go.mod hack/tools/go.sum | sha256sum | cut -c1-16).$(go env GOVERSION)
if [ ! -e "$stamp" ]; then
  echo "building golangci-lint and gofumpt into .bin" >&2
  rm -rf .bin
  mkdir .bin
  # The tools are another module: neither this one's tags nor its vendor directory are theirs.
  GOFLAGS=-buildvcs=false CGO_ENABLED=0 GOBIN=$PWD/.bin hack/alive.sh "still building" go install -C hack/tools tool
  touch "$stamp"
fi
hack/alive.sh "still linting" .bin/golangci-lint run --allow-serial-runners ./...
unformatted=$(git ls-files -z '*.go' ':!vendor' | xargs -0 .bin/gofumpt -extra -l)
if [ -n "$unformatted" ]; then
  printf 'not as gofumpt -extra -w leaves it:\n%s\n' "$unformatted" >&2
  exit 1
fi
git ls-files -z '*.sh' '*.postinstall' .ci/run ':!vendor' | xargs -0 shellcheck
