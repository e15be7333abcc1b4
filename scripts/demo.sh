#!/usr/bin/env bash
# Watch an attack die: ./scripts/demo.sh [--once]
#
# In network namespaces of its own: an attacker, a legitimate user, a router with a DOTS server and a 20 Mbit/s link, a
# victim with a DOTS client. Normal traffic; a UDP flood of about four times the link; one `dotsctl mitigate`; the flood
# dies in the router's kernel; counters; withdrawal; the rules are gone.
#
#   --once   unattended: one line for each step, exit status 0 when every step held
#
# Needs root, or else makes user namespaces (unshare); with neither it plays on loopback with the dry-run back end and
# says what it cannot show. Installs what it lacks, leaves nothing behind, also on Ctrl-C, and can be run again.
set -uo pipefail
cd "$(dirname "$0")/.."

once=no
for argument in "$@"; do
  case "$argument" in
    --once) once=yes ;;
    --inside) ;;  # we are inside the namespaces that unshare made
    -h|--help) sed -n '2,13p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "demo.sh: unknown argument '$argument' (try --help)" >&2; exit 2 ;;
  esac
done

if [[ " $* " != *" --inside "* ]]; then
  . scripts/lib/packages.sh
  need_packages build test demo || exit 1
  if [ -z "${TIDEWALL_BIN:-}" ]; then
    echo "== building (the first time takes some minutes)"
    log=$(mktemp)
    ./scripts/build.sh release dotsd dotsctl dots-nft-helper >"$log" 2>&1 || { cat "$log"; exit 1; }
    rm -f "$log"
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if unshare -Urnm true 2>/dev/null; then
      exec unshare -Urnm bash "$0" "$@" --inside
    fi
    exec bash scripts/lab/demo_loopback.sh
  fi
elif ! mount -t tmpfs tmpfs /run 2>/dev/null; then
  echo "cannot mount /run in the namespace: the demonstration is played on loopback"
  exec bash scripts/lab/demo_loopback.sh
fi

. scripts/lab/lab.sh
bin=${TIDEWALL_BIN:-$PWD/build/release/bin}
work=$(mktemp -d /tmp/tidewall-demo.XXXXXX)
pids=()
failures=0

cleanup() {
  trap - EXIT INT TERM
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
  lab_down
  rm -rf "$work"
}
trap cleanup EXIT
trap 'echo; echo "stopped: everything is cleaned up"; exit 130' INT TERM

say() { [ $once = yes ] || printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { [ $once = yes ] || sed 's/^/    /'; [ $once = no ] || cat >/dev/null; }
step() {  # step STATUS TEXT
  if [ "$1" -eq 0 ]; then
    echo "ok    $2"
  else
    echo "FAIL  $2"
    failures=$((failures + 1))
  fi
}
give_up() {
  step 1 "$1"
  for log in server client; do
    [ -s "$work/$log.log" ] && { echo "--- the last lines of the $log:"; tail -n 15 "$work/$log.log"; }
  done
  exit 1
}
ctl() { "$bin/dotsctl" --config "$work/set/$1.toml" "${@:2}"; }
# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}
probe_line() { echo "ping loss $LOSS_PERCENT % (average $PING_MS ms), pages $FETCH_OK of $FETCH_TRIES (median $FETCH_MS ms)"; }

reason=$(lab_can) || { echo "$reason: the demonstration is played on loopback"; exec bash scripts/lab/demo_loopback.sh; }

say "1. A router with a ${LAB_LINK_MBIT} Mbit/s link to the victim, an attacker and a user beyond it"
lab_up || give_up "the namespaces could not be made"
mkdir -p "$work/www"
head -c 20000 /dev/zero >"$work/www/page.bin"
ip netns exec "$LAB_ID-victim" python3 -m http.server 8080 --bind 203.0.113.10 --directory "$work/www" >/dev/null 2>&1 &
pids+=($!)
"$bin/dotsctl" init "$work/set" --domain victim-net --prefix 203.0.113.0/24 --mitigator nftables >/dev/null ||
  give_up "dotsctl init"
# The set is for loopback: here the client reaches the server on the router. Periods are short, to be watched.
sed -i 's|^addresses = .*|addresses = ["203.0.113.1:4646"]|' "$work/set/server.toml" "$work/set/client.toml"
sed -i 's|^prefixes = .*|&\nterminating_period_s = 5\nterminating_period_max_s = 10\nnotification_interval_s = 3|' "$work/set/server.toml"
ip netns exec "$LAB_ID-router" "$bin/dotsd" --config "$work/set/server.toml" >"$work/server.log" 2>&1 &
pids+=($!)
ip netns exec "$LAB_ID-victim" "$bin/dotsd" --config "$work/set/client.toml" >"$work/client.log" 2>&1 &
pids+=($!)
wait_for 20 ctl client status || give_up "the client does not answer"
page_up() { in_ns user curl -s -o /dev/null -m 2 http://203.0.113.10:8080/page.bin; }
wait_for 20 page_up || give_up "the victim's web server does not answer"
session_up() { ctl client status --json | grep -qE '"(session|state)" *: *"(open|active|established|up|connected)"'; }
wait_for 20 session_up || give_up "the DOTS session did not come up"
step 0 "the DOTS client of the victim has a session with the server on the router"

say "2. Normal traffic"
lab_probe 100
probe_line | show
[ "$LOSS_PERCENT" -le 1 ] && [ "$FETCH_OK" -eq "$FETCH_TRIES" ]
step $? "before the attack: $(probe_line)"
calm_ms=$FETCH_MS

say "3. The attack: UDP to 203.0.113.10 port 9999 at 80 Mbit/s, four times what the link carries"
ip netns exec "$LAB_ID-attacker" python3 scripts/lab/flood.py 203.0.113.10 9999 80 300 >/dev/null 2>&1 &
pids+=($!)
flood_pid=$!
sleep 1
lab_probe 100
probe_line | show
# Hurt: one packet of ten is lost, or pages take five times as long, or do not come.
[ "$LOSS_PERCENT" -ge 10 ] || [ "$FETCH_OK" -lt "$FETCH_TRIES" ] || [ "$FETCH_MS" -ge $((5 * (calm_ms > 0 ? calm_ms : 1))) ]
step $? "under attack:      $(probe_line)"

say "4. The victim asks for help: dotsctl mitigate --target-prefix 203.0.113.10/32 --protocol udp --port 9999"
begin=$(date +%s.%N)
ctl client mitigate --target-prefix 203.0.113.10/32 --protocol udp --port 9999 --note "UDP flood" --wait >"$work/answer" 2>&1
status=$?
show <"$work/answer"
took=$(awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN {printf "%.1f", b - a}')
step $status "asked for help, answered in $took s through the drowning link"
installed() { in_ns router nft list table inet tidewall | grep -q '203.0.113.10'; }
wait_for 10 installed
step $? "the router's kernel has the rules"
ctl server explain 2>/dev/null | show

say "5. The flood goes on, and nobody notices"
sleep 1
lab_probe 100
probe_line | show
[ "$LOSS_PERCENT" -le 1 ] && [ "$FETCH_OK" -eq "$FETCH_TRIES" ]
step $? "mitigated:         $(probe_line)"
dropped() { ctl client list --json | grep -oE '"pkts-dropped" *: *"?[0-9]+' | grep -qE '[1-9][0-9]*$'; }
wait_for 15 dropped
step $? "the client's status counts what the server dropped: $(ctl client list --json | grep -oE '"(pkts|bytes)-dropped" *: *"?[0-9]+' | tr -d '"' | tr '\n' ' ')"
ctl client list | show

say "6. The attack ends, and the victim withdraws"
kill "$flood_pid" 2>/dev/null
mid=$(ctl client list --json | grep -oE '"mid" *: *[0-9]+' | grep -oE '[0-9]+$' | head -n 1)
ctl client withdraw "${mid:-0}" >"$work/answer" 2>&1
status=$?
show <"$work/answer"
step $status "withdrawn; the rules stay for the terminating period (here 5 s)"
gone() { ! installed; }
wait_for 20 gone
step $? "the rules are gone from the router's kernel"
lab_probe 100
[ "$LOSS_PERCENT" -le 1 ] && [ "$FETCH_OK" -eq "$FETCH_TRIES" ]
step $? "afterwards:        $(probe_line)"
ctl server audit 2>/dev/null | head -n 12 | show

echo
if [ $failures -eq 0 ]; then echo "every step held"; else echo "$failures steps did not hold"; fi
exit $((failures > 0))
