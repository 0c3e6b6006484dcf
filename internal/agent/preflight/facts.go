package preflight

// Facts is what was found on a host.
type Facts struct {
	// Root: the process that looked has uid 0.
	Root bool
	// Systemd runs the host; its version, 0 if unknown.
	Systemd        bool
	SystemdVersion int
	// NFTables and IPTables are the paths of the commands, empty if there are none. Denied says why the kernel does not let
	// them list rules, empty if it does.
	NFTables, IPTables string
	RulesDenied        string
	// Listeners on ports 15000 to 15090, other than those of Hawser's proxies.
	Listeners []Listener
	// AccountName and GroupName have number 1337; empty if it is free. AccountNumber and GroupNumber are those of istio-proxy;
	// -1 if there is none.
	AccountName, GroupName     string
	AccountNumber, GroupNumber int
	// FreeBytes of the file system that takes the proxy's files.
	FreeBytes uint64
	// Architecture as in GOARCH.
	Architecture string
	// Glibc version ("2.36"), empty if the host has no GNU C library.
	Glibc string
	// Resolver: "plain", "systemd-resolved" or empty if /etc/resolv.conf names no server.
	Resolver string
	// ReadOnly are directories that are on a read-only file system.
	ReadOnly []string
	// Istio is a foreign installation of Istio's proxy: its unit, or traffic rules that the ledger does not know.
	Istio []string
	// UnitTemplate: the package's unit hawser-proxy@.service is installed.
	UnitTemplate bool
}

// Listener is a process that holds a port.
type Listener struct {
	Port int
	// Process name and id; empty and 0 if unknown.
	Process string
	PID     int
}

// Need is what is known of the proxy that is going to run; zero values are unknown.
type Need struct {
	MinGlibc string
	// Bytes on disk while and after its files are fetched.
	Bytes uint64
	// Intercept: traffic rules are wanted.
	Intercept bool
}

// Problem keeps a host from joining.
type Problem struct {
	// Code is stable: "NoSystemd".
	Code string
	// What happened, on which object, and what to do about it.
	What, Object, Next string
}

func (p Problem) Error() string {
	return p.What + " (" + p.Object + "); " + p.Next
}
