#!/usr/bin/env bash
# Runs a command in a network of its own in which bridge.example is this machine, at addresses that the official
# webtunnel client does not refuse as it does those of loopback: scripts/webtunnel-network.sh COMMAND... Needs root.
set -euo pipefail
hosts=$(mktemp)
trap 'rm -f "$hosts"' EXIT
printf '127.0.0.1 localhost\n203.0.113.10 bridge.example\n2001:db8:77::10 bridge.example\n' >"$hosts"
HOSTS="$hosts" unshare -nm bash -euc '
  mount --bind "$HOSTS" /etc/hosts
  ip link set lo up
  ip addr add 203.0.113.10/32 dev lo
  ip -6 addr add 2001:db8:77::10/128 dev lo nodad
  "$@"
' bash "$@"
