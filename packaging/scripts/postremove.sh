#!/bin/sh
# deb: remove, purge, upgrade, …; rpm: 0 (removed) or 1 (upgraded).
set -e

case "$1" in
remove | purge | 0)
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
		systemctl reset-failed 'hawser-agent.service' 'hawser-drain.service' 'hawser-proxy@*.service' 2>/dev/null || true
	fi
	;;
esac

case "$1" in
purge | 0)
	rm -rf /run/hawser /run/hawser-proxy
	# The user goes only if it is the one that this package made.
	if [ "$(getent passwd istio-proxy | cut -d: -f3,5)" = '1337:Istio proxy of Hawser' ]; then
		userdel istio-proxy 2>/dev/null || true
		if getent group istio-proxy >/dev/null; then groupdel istio-proxy 2>/dev/null || true; fi
	fi
	;;
esac
