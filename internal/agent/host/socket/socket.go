// Package socket finds out who listens on the host's ports. In comes where procfs is mounted, out come ports with the process
// that holds them. It opens none.
package socket

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Listener is a port that somebody listens on.
type Listener struct {
	Port int
	// PID and Process are 0 and empty if unknown, UID is the owner's.
	PID     int
	Process string
	UID     int
	inode   string
}

// states of sockets that receive what no other socket does (include/net/tcp_states.h): a listening TCP socket, an unconnected
// UDP socket.
const (
	tcpListen = "0A"
	udpOpen   = "07"
)

// Listeners returns who listens by TCP or UDP on ports from first to last, each port and process once, by port.
func Listeners(proc string, first, last int) ([]Listener, error) {
	var found []Listener
	for _, table := range []struct{ file, state string }{{"tcp", tcpListen}, {"tcp6", tcpListen}, {"udp", udpOpen}, {"udp6", udpOpen}} {
		listeners, err := read(filepath.Join(proc, "net", table.file), table.state)
		if err != nil {
			return nil, err
		}
		for _, listener := range listeners {
			if listener.Port >= first && listener.Port <= last {
				found = append(found, listener)
			}
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	owners := holders(proc, found)
	for i := range found {
		found[i].PID = owners[found[i].inode]
		found[i].Process = processName(proc, found[i].PID)
	}
	slices.SortFunc(found, func(a, b Listener) int {
		if a.Port != b.Port {
			return a.Port - b.Port
		}
		return a.PID - b.PID
	})
	return slices.CompactFunc(found, func(a, b Listener) bool { return a.Port == b.Port && a.PID == b.PID }), nil
}

// read parses a table of proc_net(5): "sl local_address rem_address st … uid timeout inode". A host without IPv6 lacks some.
func read(file, state string) ([]Listener, error) {
	content, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for listeners: %w", err)
	}
	defer content.Close()
	var found []Listener
	lines := bufio.NewScanner(content)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != state {
			continue
		}
		_, port, _ := strings.Cut(fields[1], ":")
		number, err := strconv.ParseUint(port, 16, 16)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(fields[7])
		found = append(found, Listener{Port: int(number), UID: uid, inode: fields[9]})
	}
	return found, lines.Err()
}

// holders finds the processes that have the sockets open. Processes that end meanwhile are none.
func holders(proc string, wanted []Listener) map[string]int {
	owners := map[string]int{}
	inodes := map[string]bool{}
	for _, listener := range wanted {
		inodes[listener.inode] = true
	}
	links, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		inode := strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")
		if !inodes[inode] || owners[inode] != 0 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(link))))
		owners[inode] = pid
	}
	return owners
}

func processName(proc string, pid int) string {
	if pid == 0 {
		return ""
	}
	name, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}
