package preflight

import (
	"fmt"
	"strconv"
	"strings"
)

// Codes of problems.
const (
	NotRoot            = "NotRoot"
	NoSystemd          = "NoSystemd"
	SystemdTooOld      = "SystemdTooOld"
	PackageIncomplete  = "PackageIncomplete"
	ReadOnlyFileSystem = "ReadOnlyFileSystem"
	ArchitectureWrong  = "ArchitectureUnsupported"
	GlibcMissing       = "GlibcMissing"
	GlibcTooOld        = "GlibcTooOld"
	NoTrafficRules     = "NoTrafficRules"
	AccountTaken       = "AccountTaken"
	PortInUse          = "PortInUse"
	NoSpace            = "NoSpace"
	NoResolver         = "NoResolver"
	OtherIstio         = "OtherIstio"
)

const (
	// oldestSystemd has what the units need: systemd-sysusers --inline, ProtectKernelLogs and the like are ignored before it.
	oldestSystemd = 239
	accountName   = "istio-proxy"
	accountNumber = 1337
)

// Check returns what keeps the host from joining, the most fundamental first; none if it can.
func Check(facts Facts, need Need) []Problem {
	checks := []func(Facts, Need) []Problem{
		checkRoot, checkSystemd, checkFileSystems, checkArchitecture, checkGlibc, checkRules, checkAccount, checkPorts, checkSpace, checkResolver, checkIstio,
	}
	var problems []Problem
	for _, check := range checks {
		problems = append(problems, check(facts, need)...)
	}
	return problems
}

func checkRoot(f Facts, _ Need) []Problem {
	if f.Root {
		return nil
	}
	return []Problem{{NotRoot, "the agent sets up users, units and packet filters, which takes root", "this process", "run the command again with sudo"}}
}

func checkSystemd(f Facts, _ Need) []Problem {
	switch {
	case !f.Systemd:
		return []Problem{{NoSystemd, "this host is not run by systemd, which starts the proxy and keeps it running", "/run/systemd/system",
			"use a host that boots with systemd; a container without it cannot join"}}
	case f.SystemdVersion != 0 && f.SystemdVersion < oldestSystemd:
		return []Problem{{SystemdTooOld, fmt.Sprintf("systemd %d is too old", f.SystemdVersion), "systemd",
			fmt.Sprintf("upgrade the operating system to one with systemd %d or newer", oldestSystemd)}}
	case !f.UnitTemplate:
		return []Problem{{PackageIncomplete, "the proxy's unit is not installed", "hawser-proxy@.service",
			"install the package hawser-agent (deb or rpm) instead of the binary alone"}}
	}
	return nil
}

func checkFileSystems(f Facts, _ Need) []Problem {
	var problems []Problem
	for _, directory := range f.ReadOnly {
		problems = append(problems, Problem{ReadOnlyFileSystem, "the file system is read-only", directory,
			"mount it writable (mount -o remount,rw), or check the kernel's log for the error that made it read-only"})
	}
	return problems
}

func checkArchitecture(f Facts, _ Need) []Problem {
	if f.Architecture == "amd64" || f.Architecture == "arm64" {
		return nil
	}
	return []Problem{{ArchitectureWrong, "Istio's proxy is built for amd64 and arm64 only", f.Architecture, "use a host of one of these architectures"}}
}

func checkGlibc(f Facts, need Need) []Problem {
	switch {
	case f.Glibc == "":
		return []Problem{{GlibcMissing, "Istio's proxy needs the GNU C library, which this host does not have", "libc.so.6",
			"use a distribution with glibc (Debian, Ubuntu, RHEL, SUSE, Amazon Linux), not one with musl"}}
	case older(f.Glibc, need.MinGlibc):
		return []Problem{{GlibcTooOld, fmt.Sprintf("the proxy needs glibc %s or newer, this host has %s", need.MinGlibc, f.Glibc), "libc.so.6",
			"upgrade the operating system, or follow an Istio revision whose proxy is built for an older one"}}
	}
	return nil
}

func checkRules(f Facts, need Need) []Problem {
	switch {
	case !need.Intercept:
		return nil
	case f.NFTables == "" && f.IPTables == "":
		return []Problem{{NoTrafficRules, "the host has neither nftables nor iptables to lead traffic through the proxy", "nft, iptables",
			"install one of them (apt-get install nftables, dnf install nftables)"}}
	case f.RulesDenied != "":
		return []Problem{{NoTrafficRules, "the kernel does not let this host set packet filter rules: " + f.RulesDenied, "nf_tables",
			"load the kernel module nf_tables, or give the container CAP_NET_ADMIN"}}
	}
	return nil
}

func checkAccount(f Facts, _ Need) []Problem {
	return append(checkIdentity("user", "usermod -u", f.AccountName, f.AccountNumber), checkIdentity("group", "groupmod -g", f.GroupName, f.GroupNumber)...)
}

// checkIdentity looks at a user or a group: holder is who has the number that the proxy needs, number is what its name has.
func checkIdentity(kind, change, holder string, number int) []Problem {
	var problems []Problem
	if holder != "" && holder != accountName {
		problems = append(problems, Problem{AccountTaken,
			fmt.Sprintf("%s %d has to be the proxy's, since Istio's rules exempt it by that number, and is another's", kind, accountNumber), kind + " " + holder,
			fmt.Sprintf("give that %s another number (%s NUMBER %s) and its files to it", kind, change, holder)})
	}
	if number >= 0 && number != accountNumber {
		problems = append(problems, Problem{AccountTaken,
			fmt.Sprintf("%s %s exists with number %d, and Istio's rules exempt the proxy by number %d", kind, accountName, number, accountNumber), kind + " " + accountName,
			fmt.Sprintf("remove it, or give it that number (%s %d %s)", change, accountNumber, accountName)})
	}
	return problems
}

func checkPorts(f Facts, _ Need) []Problem {
	var problems []Problem
	for _, listener := range f.Listeners {
		object, next := fmt.Sprintf("port %d", listener.Port), "stop what listens there: ss -tulpn shows it"
		if listener.Process != "" {
			object += fmt.Sprintf(", held by %s (pid %d)", listener.Process, listener.PID)
			next = "stop that process, or move it to a port outside of 15000 to 15090"
		}
		problems = append(problems, Problem{PortInUse, "a port that the proxy needs is in use", object, next})
	}
	return problems
}

func checkSpace(f Facts, need Need) []Problem {
	if f.FreeBytes >= need.Bytes {
		return nil
	}
	return []Problem{{NoSpace, fmt.Sprintf("the proxy's files need %d MiB, %d MiB are free", need.Bytes>>20, f.FreeBytes>>20), "/var/lib/hawser",
		"free space on that file system"}}
}

func checkResolver(f Facts, _ Need) []Problem {
	if f.Resolver != "" {
		return nil
	}
	return []Problem{{NoResolver, "the host has no name server", "/etc/resolv.conf", "add a nameserver line: the proxy forwards to it what is not of the mesh"}}
}

func checkIstio(f Facts, _ Need) []Problem {
	var problems []Problem
	for _, found := range f.Istio {
		problems = append(problems, Problem{OtherIstio, "another installation of Istio's proxy is on this host", found,
			"remove it first (systemctl disable --now istio; apt-get purge istio-sidecar)"})
	}
	return problems
}

// older compares dotted versions by number. Unknown is not older.
func older(have, need string) bool {
	if have == "" || need == "" {
		return false
	}
	haves, needs := strings.Split(have, "."), strings.Split(need, ".")
	for i, part := range needs {
		n, _ := strconv.Atoi(part)
		h := 0
		if i < len(haves) {
			h, _ = strconv.Atoi(haves[i])
		}
		if h != n {
			return h < n
		}
	}
	return false
}
