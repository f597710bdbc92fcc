#!/bin/sh
# The tests of save.lua in a plain shell script: luatrace's exit code says whether the program kept its promises.
#
# Usage: examples/testing/check.sh PROGRAM      (LUATRACE names another luatrace than the one in PATH)
#
# Captured output:
#
#   $ examples/testing/check.sh ./save 2>/dev/null
#   FAILED: it does not save safely
#   FAILED: a full disk is not reported
#   $ examples/testing/check.sh ./save_fixed
#   ok: it saves safely
#   ok: a full disk is reported
set -eu
luatrace=${LUATRACE:-luatrace}
examples=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

echo old >settings
if "$luatrace" "$examples/save.lua" settings -- "$program" settings new; then
  echo "ok: it saves safely"
else
  echo "FAILED: it does not save safely"
  failed=1
fi

# The same under a fault: the write of the new file fails, so the program must, too.
echo old >settings
if "$luatrace" --lua 'fail("write", "ENOSPC", { path = "settings.new" })' -- "$program" settings new 2>/dev/null; then
  echo "FAILED: a full disk is not reported"
  failed=1
elif [ "$(cat settings)" != old ]; then
  echo "FAILED: a full disk costs the old file"
  failed=1
else
  echo "ok: a full disk is reported"
fi
exit $failed
