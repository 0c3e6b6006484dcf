package machine

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// note is what systemd-nspawn says about a boot: the machine's PID 1, and that the boot has finished.
type note struct {
	leader int
	ready  bool
}

// notes is a socket for sd_notify(3) messages. It is an abstract one: nothing to remove after a crash, and no limit by
// the length of the lab's folder.
type notes struct {
	conn     *net.UnixConn
	incoming chan note
	closed   chan struct{}
	ended    chan struct{}
}

func listenNotes(name string) (*notes, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "@hawser-lab/notify/" + name, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("listen for the boot's notifications (is the machine running in another lab?): %w", err)
	}
	n := &notes{conn: conn, incoming: make(chan note), closed: make(chan struct{}), ended: make(chan struct{})}
	go n.read()
	return n, nil
}

// address is the value for NOTIFY_SOCKET.
func (n *notes) address() string { return n.conn.LocalAddr().String() }

func (n *notes) close() {
	close(n.closed)
	_ = n.conn.Close() // only read from
	<-n.ended
}

func (n *notes) read() {
	defer close(n.ended)
	buffer := make([]byte, 4096)
	for {
		size, err := n.conn.Read(buffer)
		if err != nil {
			return
		}
		select {
		case n.incoming <- parseNote(string(buffer[:size])):
		case <-n.closed:
			return
		}
	}
}

func parseNote(text string) note {
	var n note
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch {
		case key == "X_NSPAWN_LEADER_PID":
			// A value that is no number leaves 0: no leader told.
			n.leader, _ = strconv.Atoi(value)
		case key == "READY" && value == "1":
			n.ready = true
		}
	}
	return n
}
