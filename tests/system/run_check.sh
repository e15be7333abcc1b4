#!/usr/bin/env bash
# Runs one check as a counted test: run_check.sh BUILD_DIR NAME COMMAND...
# A command that ends with 77 could not be tried here and has said why.
set -u
build=$1 name=$2
shift 2
mkdir -p "$build/test-results"
"$@"
status=$?
case $status in
  0) echo "PASS $name" >"$build/test-results/$name.txt" ;;
  77) echo "SKIP $name" >"$build/test-results/$name.txt" ;;
  *)
    echo "FAIL $name: see ctest.log" >"$build/test-results/$name.txt"
    exit 1
    ;;
esac
exit $status
