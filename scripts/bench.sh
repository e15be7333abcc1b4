#!/usr/bin/env bash
# Measures again all that docs/performance.md says, on this machine: ./scripts/bench.sh [preset] (default release).
# Takes some ten minutes, wants root for the row about nftables, and means something on a quiet machine alone.
# Writes docs/performance/run.json and growth.csv, the plots and the figures of the page.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=${1:-release}
./scripts/build.sh "$preset" dotsd dotsctl dots-bench dots-nft-helper >/dev/null
bin=build/$preset/bin
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$bin/dots-bench" run --json "$made/run.json"
"$bin/dots-bench" growth --csv "$made/growth.csv"
mv "$made/run.json" "$made/growth.csv" docs/performance/
tools/performance.py
