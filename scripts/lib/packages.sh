# Sourced by the scripts: installs the Debian packages of the named groups that are missing (scripts/packages.txt).
# shellcheck shell=bash
#
# gobgpd and bird2 come with system services that would listen on port 179: whatever is installed here is neither started
# now nor at the next boot. A service that was there before stays as it was.

# need_packages GROUP...: says what it installs; does nothing when all is there.
need_packages() {
  local list missing=() package
  list="$(dirname "${BASH_SOURCE[0]}")/../packages.txt"
  for package in $(awk -v groups=" $* " '!/^#/ && index(groups, " " $1 " ") {print $2}' "$list" | sort -u); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  echo "== installing ${#missing[@]} Debian packages: ${missing[*]}"
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "These packages are missing and need root to install: ${missing[*]}" >&2
      echo "Run as root: apt-get install ${missing[*]}" >&2
      return 1
    fi
    sudo=(sudo)
  fi
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null || return 1
  # 101: invoke-rc.d and deb-systemd-invoke start nothing.
  local policy=/usr/sbin/policy-rc.d ours=no status=0 service
  if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null && "${sudo[@]}" chmod 755 "$policy"
  fi
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || {
    echo "apt-get could not install: ${missing[*]}" >&2
    status=1
  }
  [ "$ours" = no ] || "${sudo[@]}" rm -f "$policy"
  for service in gobgpd:gobgpd bird2:bird; do
    [[ " ${missing[*]} " == *" ${service%%:*} "* ]] || continue
    ! command -v systemctl >/dev/null || "${sudo[@]}" systemctl disable --now "${service##*:}" >/dev/null 2>&1 || true
  done
  return $status
}
