#!/usr/bin/env bash
# phase.sh NAME COMMAND…: runs one step of `make test` and tells how long it took.
set -uo pipefail

name=$1
shift
printf '== %s\n' "$name"
"$@"
status=$?
if [ "$status" -eq 0 ]; then
  printf '== %s: %d s\n' "$name" "$SECONDS"
else
  printf '== %s: failed after %d s\n' "$name" "$SECONDS" >&2
fi
exit "$status"
