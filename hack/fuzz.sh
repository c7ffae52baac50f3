#!/usr/bin/env bash
# Runs each fuzz target of the module for a while: hack/fuzz.sh [TIME]
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-30s}
grep -rl --include='*_test.go' '^func Fuzz' build cmd convert hack recipes | xargs -n 1 dirname | sort -u | while read -r package; do
  # go test takes one fuzz target at a time.
  sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$package"/*_test.go | while read -r target; do
    echo "$package $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$package" </dev/null
  done
done
