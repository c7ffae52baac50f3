#!/usr/bin/env bash
# Keeps what a long command prints, on standard input, in LOG, and passes on the
# lines that match PATTERN, of the others a sign of life, and the last TAIL lines.
#
#   hack/brief.sh LOG [PATTERN [TAIL]]
set -euo pipefail

log=$1 pattern=${2:-} tail=${3:-0}
: >"$log"
last=$SECONDS
while IFS= read -r line || [ -n "$line" ]; do
  printf '%s\n' "$line" >>"$log"
  line=${line//[[:cntrl:]]/}
  if [ -z "$pattern" ] || [[ ! $line =~ $pattern ]]; then
    [ $((SECONDS - last)) -ge 8 ] || continue
  fi
  last=$SECONDS
  printf '    %.100s\n' "$line"
done
tail -n "$tail" "$log" | sed 's/^/    /'
