# Sourced by the scripts: installs the Debian packages of the named groups that are missing (scripts/packages.txt).
# shellcheck shell=bash

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
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || {
    echo "apt-get could not install: ${missing[*]}" >&2
    return 1
  }
}
