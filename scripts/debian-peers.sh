#!/usr/bin/env bash
# Fetches peers that this Debian does not have (lyrebird, webtunnel) from Debian's unstable suite, without
# installing them: scripts/debian-peers.sh [FOLDER]. Needs apt and dpkg. Prints what it got, with versions.
#
# Without a folder they land where the benchmark looks: .build/peers.
set -euo pipefail
to=${1:-$(dirname "$0")/../.build/peers}
mkdir -p "$to"
to=$(cd "$to" && pwd)
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$state"/{lists/partial,archives/partial,preferences.d}
mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
  head -1 | tr -d ' ') || true
[ -n "$mirror" ] || { echo 'no Debian mirror is configured for apt' >&2; exit 1; }
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$state/sources.list"
# Lists and archives of its own: the system's apt never learns of that suite.
apt=(apt-get -qq
  -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=-
  -o "Dir::Etc::preferencesparts=$state/preferences.d"
  -o "Dir::State::Lists=$state/lists" -o "Dir::Cache::archives=$state/archives"
  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
"${apt[@]}" update
cd "$state"
"${apt[@]}" download lyrebird webtunnel
for package in *.deb; do
  dpkg -x "$package" "$to"
  dpkg-deb --show --showformat '${Package} ${Version}\n' "$package"
done | tee "$to/versions"
