package machine

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestSpecsSurviveOnDisk(t *testing.T) {
	s := NewStore(t.TempDir())
	want := Spec{Name: "db", Address: netip.MustParseAddr("172.31.0.11"), Resolved: true, On: true}
	for _, folder := range []string{"db", "half-made", "Not_A_Name"} {
		if err := os.Mkdir(s.path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.saveSpec(want); err != nil {
		t.Fatal(err)
	}
	got, err := s.Specs()
	if err != nil || !slices.Equal(got, []Spec{want}) {
		t.Errorf("read %v, %v, want %v", got, err, want)
	}
	if entries, _ := os.ReadDir(s.path("db")); len(entries) != 1 {
		t.Errorf("temporary files were left: %v", entries)
	}
}

func TestLeader(t *testing.T) {
	s := NewStore(t.TempDir())
	if _, err := s.Leader("db"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown machine: %v, want ErrNotFound", err)
	}
	if err := os.Mkdir(s.path("db"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.saveSpec(Spec{Name: "db"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Leader("db"); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no leader: %v, want ErrNotRunning", err)
	}
	if err := s.saveLeader("db", os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if pid, err := s.Leader("db"); err != nil || pid != os.Getpid() {
		t.Errorf("leader %d, %v, want %d", pid, err, os.Getpid())
	}
	// The same process id with another start time is another process.
	started, _ := processStartTime(os.Getpid())
	if err := writeJSON(s.path("db", "leader.json"), leader{PID: os.Getpid(), StartTime: started + 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Leader("db"); !errors.Is(err, ErrNotRunning) {
		t.Errorf("stale leader: %v, want ErrNotRunning", err)
	}
}

func TestNames(t *testing.T) {
	for name, valid := range map[string]bool{
		"ratings-vm-1": true, "a": true, strings.Repeat("x", 63): true,
		"": false, "-a": false, "a-": false, "A": false, "a.b": false, "../x": false, "a/b": false, strings.Repeat("x", 64): false,
	} {
		if err := validName(name); (err == nil) != valid {
			t.Errorf("name %q: %v, want valid %t", name, err, valid)
		}
	}
}

func TestAddresses(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Dir = t.TempDir()
	cfg.Last = netip.MustParseAddr("172.31.0.12")
	m := NewManager(cfg, nil)
	take := func(name, address string) {
		t.Helper()
		if err := os.Mkdir(m.path(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := m.saveSpec(Spec{Name: name, Address: netip.MustParseAddr(address)}); err != nil {
			t.Fatal(err)
		}
	}
	refuse := func(wanted, complaint string) {
		t.Helper()
		var addr netip.Addr
		if wanted != "" {
			addr = netip.MustParseAddr(wanted)
		}
		if got, err := m.pickAddress(addr); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("address %q: got %s, %v, want an error with %q", wanted, got, err, complaint)
		}
	}
	take("one", "172.31.0.11")
	if got, err := m.pickAddress(netip.Addr{}); err != nil || got.String() != "172.31.0.12" {
		t.Errorf("lowest free address: %s, %v", got, err)
	}
	refuse("172.31.0.11", "belongs to one")
	refuse("172.31.0.1", "belongs to the router")
	refuse("172.31.0.13", "is not between")
	take("two", "172.31.0.12")
	refuse("", "are taken")
}

func TestParseNote(t *testing.T) {
	for text, want := range map[string]note{
		"STATUS=Container running.\nX_NSPAWN_LEADER_PID=42": {leader: 42},
		"READY=1\n":               {ready: true},
		"READY=1\nSTATUS=Started": {ready: true},
		"READY=0":                 {},
		"X_NSPAWN_LEADER_PID=x":   {},
		"":                        {},
	} {
		if got := parseNote(text); got != want {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	}
}
