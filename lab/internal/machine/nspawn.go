package machine

// nspawnArgv boots a machine's root in a network namespace made beforehand.
//
// The two capabilities are not given along with a namespace path, and without them interception fails. The machine is
// neither registered nor put into a unit, as there may be no systemd outside (--register, --keep-unit); the latter also
// turns a reboot into an exit code. Readiness and PID 1 are told through NOTIFY_SOCKET (--notify-ready).
func nspawnArgv(name, root, namespace string) []string {
	return []string{
		"systemd-nspawn", "--quiet", "--boot",
		"--machine=" + name, "--directory=" + root,
		"--network-namespace-path=" + namespace,
		"--capability=CAP_NET_ADMIN,CAP_NET_RAW",
		"--register=no", "--keep-unit", "--notify-ready=yes",
		"--kill-signal=SIGRTMIN+4", // power off; the default only halts
		"--console=read-only",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no",
	}
}

// nspawnEnv is the environment of systemd-nspawn. /proc/sys/net is made writable, as it is on any real machine: it
// belongs to the machine's own network namespace.
func nspawnEnv(notifySocket string) []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8",
		"NOTIFY_SOCKET=" + notifySocket,
		"SYSTEMD_NSPAWN_API_VFS_WRITABLE=network",
	}
}
