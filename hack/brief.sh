#!/usr/bin/env bash
# Of a build's output on standard input, passes on the steps, and of what they
# print a sign of life; all of it is kept in .cache/demo/build.log, and shown
# where the build fails.
set -euo pipefail

mkdir -p .cache/demo
last=$SECONDS
while IFS= read -r line; do
  printf '%s\n' "$line" >>.cache/demo/build.log
  case $line in
  *STEP*) ;;
  rootcast:*) ;;
  *) [ $((SECONDS - last)) -ge 10 ] || continue ;;
  esac
  last=$SECONDS
  printf '    %.110s\n' "$line"
done
