#!/usr/bin/env bash
# Installs the Debian packages this project builds and runs with, and nothing that is there already.
# usage: install-deps.sh [build|test]     (build: what `make run` needs; test: everything)
set -euo pipefail
cd "$(dirname "$0")"
want=${1:-test}

# The packages of the list, up to the "# test" line unless everything is wanted.
packages() { awk -v want="$want" '/^# test/ { if (want == "build") exit } !/^#/ && NF { print $1 }' packages.txt; }
missing() {
    dpkg-query -W -f='${Package} ${db:Status-Status}\n' $(packages) 2>/dev/null |
        awk '$2 == "installed" { print $1 }' | sort >"$tmp/have" || true
    packages | sort | comm -23 - "$tmp/have"
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

command -v dpkg-query >/dev/null || { echo "install: this is not a Debian system; install by hand: $(packages | xargs)" >&2; exit 1; }
need=$(missing | xargs)
[ -n "$need" ] || exit 0
echo "install: $need"
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
        { echo "install: packages are missing and sudo is not there. Run as root: apt-get install $need" >&2; exit 1; }
    sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
if ! $sudo apt-get install -y --no-install-recommends $need >"$tmp/log" 2>&1; then
    # A stale package list is the usual cause; a second failure is the network or the rights.
    if ! { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends $need; } >"$tmp/log" 2>&1; then
        tail -5 "$tmp/log" >&2
        echo "install: apt-get could not install: $need" >&2
        echo "install: is the network reachable, and may this user run sudo? The lines above are apt-get's." >&2
        exit 1
    fi
fi
