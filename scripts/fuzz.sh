#!/usr/bin/env bash
# Fuzzes every parser: ./scripts/fuzz.sh [seconds for each target, default 60] [target...]
# Prints executions and coverage of each; new interesting inputs are kept in build/fuzz/corpus, findings in
# build/fuzz/findings. `--merge` folds the new inputs, minimised, into tests/fuzz/corpus.
set -uo pipefail
cd "$(dirname "$0")/.."
merge=no
[ "${1:-}" = --merge ] && { merge=yes; shift; }
seconds=${1:-60}
[ $# -gt 0 ] && shift
./scripts/build.sh fuzz || exit 1
mkdir -p build/fuzz/findings
status=0
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=($(cd build/fuzz/bin && ls fuzz_*))
for target in "${targets[@]}"; do
  name=${target#fuzz_}
  corpus=build/fuzz/corpus/$name
  mkdir -p "$corpus" "tests/fuzz/corpus/$name"
  log=build/fuzz/$target.log
  build/fuzz/bin/"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=2048 -print_final_stats=1 \
    -artifact_prefix=build/fuzz/findings/"$target"- "$corpus" "tests/fuzz/corpus/$name" >"$log" 2>&1
  rc=$?
  executions=$(awk '/stat::number_of_executed_units/ {print $2}' "$log")
  coverage=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -n 1)
  echo "$target: ${executions:-0} executions in $seconds s, $coverage, exit $rc"
  if [ $rc -ne 0 ]; then status=1; grep -E 'ERROR|SUMMARY|Test unit' "$log" | head -5; fi
  if [ $merge = yes ]; then
    build/fuzz/bin/"$target" -merge=1 -max_len=2048 "tests/fuzz/corpus/$name" "$corpus" >>"$log" 2>&1
  fi
done
exit $status
