#!/usr/bin/env bash
# The demonstration as a test: demo_test.sh BUILD_DIR BIN_DIR. Each step of scripts/demo.sh --once is a check.
set -uo pipefail
build=$1 bin=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$build/test-results"
results=$build/test-results/demo.txt
if [ "$(id -u)" -ne 0 ]; then
  echo "SKIP demo: needs root, or it would play on loopback only" | tee "$results"
  exit 77
fi
output=$(mktemp)
trap 'rm -f "$output"' EXIT
TIDEWALL_BIN=$bin timeout --kill-after=20 150 "$root/scripts/demo.sh" --once >"$output" 2>&1 &
demo=$!
trap 'kill $demo 2>/dev/null; wait $demo; rm -f "$output"; exit 1' TERM INT
wait $demo
status=$?
cat "$output"
if why=$(grep 'the demonstration is played on loopback' "$output"); then
  echo "SKIP demo: $why" >"$results"
  [ $status -eq 0 ] && exit 77
fi
# The figures of a step stand behind its last colon or in it; the names of the checks are to stay the same.
sed -n 's/^ok    /PASS demo: /p; s/^FAIL  /FAIL demo: /p' "$output" >"$results"
grep -q '^PASS' "$results" || echo "FAIL demo: no step held: $(tail -n 1 "$output")" >>"$results"
if [ $status -ne 0 ] && ! grep -q '^FAIL' "$results"; then echo "FAIL demo: ended with status $status" >>"$results"; fi
[ $status -eq 0 ] && ! grep -q '^FAIL' "$results"
