#!/usr/bin/env bash
# Builds Tidewall: ./scripts/build.sh [preset [target...]]   (release, debug, asan, tsan, fuzz; default release, all)
# Installs the Debian packages that the build lacks. Can be run again at any time.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/packages.sh

preset=${1:-release}
need_packages build test
case "$preset" in fuzz | asan) need_packages sanitize ;; esac

echo "== building preset $preset in build/$preset"
log=build/$preset.configure.log
mkdir -p build
cmake --preset "$preset" >"$log" 2>&1 || { cat "$log"; exit 1; }
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(all)
[ "$preset" = fuzz ] && targets=(fuzzers)
cmake --build --preset "$preset" --target "${targets[@]}" -- -j "$(nproc)"
[ "$preset" = fuzz ] || ls -1 "build/$preset/bin" | grep -v _test | sed "s|^|built build/$preset/bin/|"
