#!/bin/sh
# deb: remove, or upgrade NEW-VERSION; rpm: 0 (removed) or 1 (upgraded).
set -e

case "$1" in
remove | 0)
	if ! hawser-agent leave; then
		echo 'hawser-agent: the package stays, since it still holds what this machine was like before it joined.' >&2
		echo 'hawser-agent: see above, then remove it again, or give up the restoration: hawser-agent leave --force' >&2
		exit 1
	fi
	;;
esac
