#!/usr/bin/env bash
# Breaks the rules of the code one at a time; every mutant must be noticed by a test: ./scripts/mutate.sh [--only WORD] [--resume]
# Takes a copy of the sources in build/mutants and writes docs/mutants.md. tools/mutate.py --help says how a mutant is
# written.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/packages.sh
need_packages build test
exec python3 tools/mutate.py "$@"
