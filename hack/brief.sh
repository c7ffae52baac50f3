#!/usr/bin/env bash
# Keeps what a long command prints, on standard input, in LOG, and passes on the
# lines that match PATTERN, of the others a sign of life, and the last TAIL lines.
# A command that is silent for 20 s is said to be still running.
#
#   hack/brief.sh LOG [PATTERN [TAIL]]
set -euo pipefail

log=$1 pattern=${2:-} tail=${3:-0}
: >"$log"
last=$SECONDS
begun=
while true; do
  line='' status=0
  IFS= read -r -t 20 line || status=$?
  # What a line began with before the silence.
  line=$begun$line
  begun=
  if [ "$status" -gt 128 ]; then
    begun=$line
    last=$SECONDS
    printf '    still running (%d s)\n' "$SECONDS"
    continue
  fi
  [ "$status" = 0 ] || [ -n "$line" ] || break
  printf '%s\n' "$line" >>"$log"
  line=${line//[[:cntrl:]]/}
  if [ -z "$pattern" ] || [[ ! $line =~ $pattern ]]; then
    [ $((SECONDS - last)) -ge 8 ] || continue
  fi
  last=$SECONDS
  printf '    %.100s\n' "$line"
done
tail -n "$tail" "$log" | sed 's/^/    /'
