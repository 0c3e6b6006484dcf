package dial

import (
	"fmt"
	"net"
	"strconv"
)

// DefaultPort is the mesh-expansion gateway's existing port for istiod, which the manager shares by server name.
const DefaultPort = "15012"

// Address returns HOST:PORT for what a user gives as --manager: HOST or HOST:PORT, where HOST is a name or an address.
func Address(given string) (string, error) {
	host, port, err := net.SplitHostPort(given)
	if err != nil {
		// Without a port; a bare IPv6 address has colons of its own.
		host, port = given, DefaultPort
		if len(given) > 1 && given[0] == '[' && given[len(given)-1] == ']' {
			host = given[1 : len(given)-1]
		} else if net.ParseIP(given) == nil {
			if _, _, err := net.SplitHostPort(given + ":" + DefaultPort); err != nil {
				return "", fmt.Errorf("%q is not HOST or HOST:PORT: give the gateway's name or address", given)
			}
		}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if host == "" || err != nil || number == 0 {
		return "", fmt.Errorf("%q is not HOST or HOST:PORT: give the gateway's name or address", given)
	}
	return net.JoinHostPort(host, port), nil
}
