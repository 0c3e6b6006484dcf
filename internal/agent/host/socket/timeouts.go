package socket

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Timeouts returns how often TCP has sent something again since the host started because nothing came back, over all connections (proc_pid_net(5),
// TcpExt: TCPTimeouts). It costs much less than to look at the connections.
func Timeouts(proc string) (int64, error) {
	content, err := os.Open(filepath.Join(proc, "net", "netstat"))
	if err != nil {
		return 0, fmt.Errorf("read the kernel's counters of TCP: %w", err)
	}
	defer content.Close()
	// A line of names is followed by one of values.
	var names []string
	for lines := bufio.NewScanner(content); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] != "TcpExt:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		if at := slices.Index(names, "TCPTimeouts"); at > 0 && at < len(fields) {
			return strconv.ParseInt(fields[at], 10, 64)
		}
	}
	return 0, errors.New("the kernel does not count TCPTimeouts")
}
