#!/usr/bin/env bash
# Runs one check as a counted test: run_check.sh BUILD_DIR NAME COMMAND...
set -u
build=$1 name=$2
shift 2
mkdir -p "$build/test-results"
if "$@"; then
  echo "PASS $name" >"$build/test-results/$name.txt"
else
  echo "FAIL $name: see ctest.log" >"$build/test-results/$name.txt"
  exit 1
fi
