#!/usr/bin/env bash
# Builds and tests Tidewall: ./scripts/test.sh [--all]
#
#   release build, all tests (unit, contract, system, interop), then the same tests under ASan and UBSan
#   --all   also ThreadSanitizer, ten minutes of fuzzing for each parser, and the mutants (scripts/mutate.sh)
#
# Installs the Debian packages that it lacks and can be run again. Tests that need root or a component that is absent
# say SKIP with the reason; with CI=true and root a skipped system test is a failure. Closes with one line that counts.
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/packages.sh

all=no
for argument in "$@"; do
  case "$argument" in
    --all) all=yes ;;
    -h|--help) sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "test.sh: unknown argument '$argument' (try --help)" >&2; exit 2 ;;
  esac
done

need_packages build test demo sanitize || exit 1
failed_steps=()
passed=0 failed=0 skipped=0

# run_preset NAME LABELS...: builds it, runs its tests, adds to the counts.
run_preset() {
  local preset=$1; shift
  ./scripts/build.sh "$preset" || { failed_steps+=("build $preset"); failed=$((failed + 1)); return; }
  rm -rf "build/$preset/test-results"
  mkdir -p "build/$preset/test-results"
  echo "== testing preset $preset"
  ctest --test-dir "build/$preset" --output-on-failure -j "$(nproc)" "$@" >"build/$preset/ctest.log" 2>&1
  local status=$?
  local counts
  counts=$(python3 tools/count_tests.py "build/$preset") || { status=1; }
  [ $status -eq 0 ] || { cat "build/$preset/ctest.log"; failed_steps+=("tests of $preset"); }
  read -r p f s <<<"$(tail -n 1 <<<"$counts")"
  sed '$d' <<<"$counts"
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  if [ $status -ne 0 ] && [ "$f" -eq 0 ]; then failed=$((failed + 1)); fi
}

start=$(date +%s)
run_preset release
run_preset asan -LE 'slow|release-only'
if [ $all = yes ]; then
  run_preset tsan -LE 'slow|release-only'
  ./scripts/fuzz.sh 600 || { failed_steps+=("fuzzing"); failed=$((failed + 1)); }
  ./scripts/mutate.sh || { failed_steps+=("mutants"); failed=$((failed + 1)); }
fi

[ ${#failed_steps[@]} -eq 0 ] || printf 'failed: %s\n' "${failed_steps[@]}"
echo "took $((($(date +%s) - start) / 60)) min $((($(date +%s) - start) % 60)) s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
