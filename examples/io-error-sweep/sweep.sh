#!/bin/sh
# Runs a command again and again, with its 1st, 2nd, ... chosen call failing, until none fails any more. After each run
# a check looks at what the command has left.
#
# Usage: sweep.sh CALLS ERROR RESET CHECK COMMAND
#   RESET    shell code that makes the state before each run
#   CHECK    shell code; $status is the command's. It fails when the program broke its promise.
#   LUATRACE says which luatrace to run (default: luatrace)
# Exit status: 0 every failure was survived, 1 at least one was not.
set -u
calls=$1 error=$2 reset=$3 check=$4
shift 4
here=$(dirname "$0")
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

bad=0 n=0
while :; do
  n=$((n + 1))
  rm -f "$work/mark"
  sh -c "$reset" || exit 2
  "${LUATRACE:-luatrace}" "$here/../io-error-sweep.lua" "$n" "$calls" "$error" "$work/mark" -- "$@" >"$work/out" 2>&1
  status=$?
  # 125: luatrace itself or the script failed.
  if [ "$status" = 125 ]; then
    cat "$work/out" >&2
    exit 2
  fi
  [ -e "$work/mark" ] || break
  if status=$status sh -c "$check"; then
    verdict=survived
  else
    verdict=BROKEN
    bad=1
  fi
  echo "$n: $(cat "$work/mark") fails with $error: exit status $status, $verdict"
done
echo "$((n - 1)) failures tried"
exit "$bad"
