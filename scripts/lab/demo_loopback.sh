#!/usr/bin/env bash
# The demonstration without root and without namespaces: both daemons on loopback, and a back end that drops nothing.
set -uo pipefail
cd "$(dirname "$0")/../.."
bin=${TIDEWALL_BIN:-$PWD/build/release/bin}
work=$(mktemp -d /tmp/tidewall-demo.XXXXXX)
pids=()
failures=0
cleanup() {
  trap - EXIT INT TERM
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
step() {
  if [ "$1" -eq 0 ]; then echo "ok    $2"; else echo "FAIL  $2"; failures=$((failures + 1)); fi
}
ctl() { "$bin/dotsctl" --config "$work/set/$1.toml" "${@:2}"; }
wait_for() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}

echo "No network namespaces here. This cannot be shown: an attack, a drowning link, rules in a kernel, drop counters."
port=$((20000 + RANDOM % 20000))
"$bin/dotsctl" init "$work/set" --domain victim-net --prefix 203.0.113.0/24 --mitigator dry-run --signal-port $port >/dev/null
step $? "a server and a client were configured in $work/set"
sed -i 's|^prefixes = .*|&\nterminating_period_s = 3\nterminating_period_max_s = 6|' "$work/set/server.toml"
"$bin/dotsd" --config "$work/set/server.toml" >"$work/server.log" 2>&1 & pids+=($!)
"$bin/dotsd" --config "$work/set/client.toml" >"$work/client.log" 2>&1 & pids+=($!)
wait_for 20 ctl client status
step $? "both daemons run"
ctl client mitigate --target-prefix 203.0.113.10/32 --protocol udp --port 9999 --wait
step $? "the client asked for help and the server agreed"
explained() { ctl server explain | grep -q 203.0.113.10; }
wait_for 10 explained
step $? "the server would block: $(ctl server explain 2>/dev/null | grep -m 1 203.0.113.10)"
mid=$(ctl client list --json | grep -oE '"mid" *: *[0-9]+' | grep -oE '[0-9]+$' | head -n 1)
ctl client withdraw "${mid:-0}" >/dev/null
step $? "the client withdrew"
gone() { ! explained; }
wait_for 20 gone
step $? "the rules are gone"
[ $failures -eq 0 ] && echo "every step held" || { echo "$failures steps did not hold"; tail -n 5 "$work"/*.log; }
exit $((failures > 0))
