#!/usr/bin/env bash
# Runs a command that may print nothing for minutes, and says every 20 s that it
# still runs:
#
#   hack/alive.sh "still compiling" go build ./...
set -euo pipefail

what=$1
shift
# The loop ends when this script does, however it ends: then its input is closed.
exec {ended}> >(
  while read -r -t 20 _ || [ $? -gt 128 ]; do
    printf '%s (%d s)\n' "$what" "$SECONDS"
  done >&2
)
"$@" {ended}>&-
