#!/bin/sh
# deb: configure [OLD-VERSION]; rpm: 1 (installed) or 2 (upgraded).
set -e

# Where uid 1337 or the name is somebody else's, the package installs all the same: `hawser-agent join` says what to do.
if ! getent passwd istio-proxy >/dev/null && ! getent passwd 1337 >/dev/null && ! getent group 1337 >/dev/null; then
	if command -v systemd-sysusers >/dev/null; then
		systemd-sysusers hawser.conf
	else
		groupadd --system --gid 1337 istio-proxy
		useradd --system --uid 1337 --gid 1337 --no-create-home --home-dir /var/lib/hawser/proxy \
			--shell /usr/sbin/nologin --comment 'Istio proxy of Hawser' istio-proxy
	fi
fi

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	# A joined machine goes on with the new agent; its proxy is not touched.
	systemctl try-restart hawser-agent.service
fi

if [ ! -e /var/lib/hawser/identity/agent.json ]; then
	echo 'hawser-agent is installed. Next: hawser-agent join --manager HOST --token TOKEN'
	echo '(`hawser token create --group NAMESPACE/GROUP` prints the whole line.)'
fi
