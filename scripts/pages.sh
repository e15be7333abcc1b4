#!/usr/bin/env bash
# Writes the pages that come out of tables in the code. Run it after a change of src/ops/config_*.cpp, of
# src/ops/facts/*.inc, of src/data/tree.inc or of the command line; the tests compare the committed pages with the tables.
set -euo pipefail
cd "$(dirname "$0")/.."
dotsctl=${1:-build/release/bin/dotsctl}
if [[ ! -x $dotsctl ]]; then
  echo "there is no $dotsctl; build first with scripts/build.sh, or name another: scripts/pages.sh PATH" >&2
  exit 1
fi
mkdir -p packaging/completion
page() { # page FILE ARGUMENTS...: replaced only when the command succeeded
  local file=$1
  shift
  "$dotsctl" "$@" > "$file.new"
  mv "$file.new" "$file"
}
page docs/configuration.md config-reference
page docs/messages.md messages
page docs/data-channel-tree.md data-reference
page packaging/completion/dotsctl.bash completion bash
