# Sourced: a small internet in network namespaces.
#
#   attacker 198.51.100.2 --.
#                            router --(20 Mbit/s)-- victim 203.0.113.10
#   user     192.0.2.2 -----'  203.0.113.1
#
# shellcheck shell=bash

LAB_ID=${LAB_ID:-tw$$}
LAB_LINK_MBIT=${LAB_LINK_MBIT:-20}

in_ns() { local ns=$1; shift; ip netns exec "$LAB_ID-$ns" "$@"; }

# lab_can: says why not when this machine cannot do it.
lab_can() {
  ip netns add "$LAB_ID-probe" 2>/dev/null || { echo "network namespaces cannot be made here"; return 1; }
  local reason=""
  ip -n "$LAB_ID-probe" link add tw0 type veth peer name tw1 2>/dev/null || reason="veth pairs cannot be made here"
  [ -n "$reason" ] || tc -n "$LAB_ID-probe" qdisc add dev tw0 root tbf rate 1mbit burst 32kbit latency 50ms 2>/dev/null ||
    reason="the token bucket filter (tc tbf) is missing here"
  [ -n "$reason" ] || in_ns probe nft add table inet probe 2>/dev/null || reason="nftables cannot be used here"
  ip netns del "$LAB_ID-probe" 2>/dev/null
  [ -z "$reason" ] || { echo "$reason"; return 1; }
}

lab_up() {
  local ns
  for ns in attacker user router victim; do
    ip netns add "$LAB_ID-$ns"
    ip -n "$LAB_ID-$ns" link set lo up
  done
  lab_link attacker 198.51.100.2 198.51.100.1
  lab_link user 192.0.2.2 192.0.2.1
  lab_link victim 203.0.113.10 203.0.113.1
  in_ns router sysctl -qw net.ipv4.ip_forward=1
  tc -n "$LAB_ID-router" qdisc add dev victim root tbf rate "${LAB_LINK_MBIT}mbit" burst 32kbit latency 50ms
}

# lab_link NS ADDRESS ROUTER_ADDRESS: a veth named after the other end.
lab_link() {
  ip link add "$1" netns "$LAB_ID-router" type veth peer name router netns "$LAB_ID-$1"
  ip -n "$LAB_ID-router" addr add "$3/24" dev "$1"
  ip -n "$LAB_ID-router" link set "$1" up
  ip -n "$LAB_ID-$1" addr add "$2/24" dev router
  ip -n "$LAB_ID-$1" link set router up
  ip -n "$LAB_ID-$1" route add default via "$3"
}

# Ends what still runs inside, by pid, then removes the namespaces.
lab_down() {
  local ns pid
  for ns in attacker user router victim probe; do
    ip netns list 2>/dev/null | grep -qw "$LAB_ID-$ns" || continue
    for pid in $(ip netns pids "$LAB_ID-$ns" 2>/dev/null); do kill "$pid" 2>/dev/null; done
  done
  sleep 0.3
  for ns in attacker user router victim probe; do
    ip netns list 2>/dev/null | grep -qw "$LAB_ID-$ns" || continue
    for pid in $(ip netns pids "$LAB_ID-$ns" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
    ip netns del "$LAB_ID-$ns" 2>/dev/null
  done
}

# lab_probe COUNT: pings the victim and fetches a page from it, as the legitimate user; sets LOSS_PERCENT,
# PING_MS (average), FETCH_OK, FETCH_TRIES and FETCH_MS (median of those that came, or "-").
lab_probe() {
  local count=$1 ping_out times=() i ms
  ping_out=$(mktemp)
  in_ns user ping -n -q -s 1200 -i 0.05 -W 1 -c "$count" 203.0.113.10 >"$ping_out" 2>&1 &
  local ping_pid=$!
  FETCH_TRIES=5 FETCH_OK=0
  for i in $(seq "$FETCH_TRIES"); do
    if ms=$(in_ns user curl -s -o /dev/null -m 2 -w '%{time_total}' http://203.0.113.10:8080/page.bin); then
      FETCH_OK=$((FETCH_OK + 1))
      times+=("$(awk -v s="$ms" 'BEGIN {printf "%d", s * 1000}')")
    fi
  done
  wait "$ping_pid"
  LOSS_PERCENT=$(grep -oE '[0-9.]+% packet loss' "$ping_out" | grep -oE '^[0-9]+' || echo 100)
  PING_MS=$(awk -F/ '/^rtt/ {printf "%.1f", $5}' "$ping_out")
  [ -n "$PING_MS" ] || PING_MS=-
  if [ ${#times[@]} -gt 0 ]; then
    FETCH_MS=$(printf '%s\n' "${times[@]}" | sort -n | sed -n "$(((${#times[@]} + 1) / 2))p")
  else
    FETCH_MS=-
  fi
  rm -f "$ping_out"
}
