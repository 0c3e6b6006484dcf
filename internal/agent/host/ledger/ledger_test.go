package ledger_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/atomicfile/crashtest"
	"github.com/hawser-io/hawser/internal/agent/host/ledger"
)

var (
	account = ledger.Record{Kind: ledger.Account, Name: "istio-proxy"}
	hosts   = ledger.Record{Kind: ledger.Block, Name: "/etc/hosts", Former: &ledger.Former{
		Mode: 0o644, UID: 12, GID: 34, Content: []byte("127.0.0.1 localhost\n\xff\x00"),
	}}
	link      = ledger.Record{Kind: ledger.File, Name: "/etc/resolv.conf", Former: &ledger.Former{Mode: fs.ModeSymlink | 0o777, Target: "../run/x"}}
	directory = ledger.Record{Kind: ledger.Directory, Name: "/run/hawser", Former: &ledger.Former{Mode: fs.ModeDir | fs.ModeSetgid | 0o750}}
)

// names are what a test compares of records.
func names(records []ledger.Record) string {
	var found []string
	for _, r := range records {
		found = append(found, string(r.Kind)+" "+r.Name)
	}
	return strings.Join(found, ", ")
}

func records(t *testing.T, l *ledger.Ledger) []ledger.Record {
	t.Helper()
	found, err := l.Records()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRecordsAreKeptNewestFirst(t *testing.T) {
	l := ledger.New(filepath.Join(t.TempDir(), "state/ledger.json"), atomicfile.Writer{})
	if got := records(t, l); len(got) > 0 {
		t.Errorf("no file has records: %v", got)
	}
	for _, record := range [][]ledger.Record{{account, hosts}, {link}, {directory}, {}} {
		if err := l.Record(record...); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := records(t, l), []ledger.Record{directory, link, hosts, account}; !reflect.DeepEqual(got, want) {
		t.Errorf("records %+v\nwant %+v", got, want)
	}
	for _, c := range []struct {
		record ledger.Record
		want   bool
	}{{account, true}, {ledger.Record{Kind: ledger.File, Name: "/etc/hosts"}, false}, {ledger.Record{Kind: ledger.Block, Name: "/etc/hosts"}, true}} {
		if got, err := l.Has(c.record.Kind, c.record.Name); err != nil || got != c.want {
			t.Errorf("has %s %s: %t, %v", c.record.Kind, c.record.Name, got, err)
		}
	}
}

func TestWhatWasThereFirstCounts(t *testing.T) {
	l := ledger.New(filepath.Join(t.TempDir(), "ledger.json"), atomicfile.Writer{})
	changed := hosts
	changed.Former = &ledger.Former{Mode: 0o600, Content: []byte("with a block")}
	absent := ledger.Record{Kind: ledger.Block, Name: "/etc/hosts"}
	for _, record := range []ledger.Record{hosts, changed, absent} {
		if err := l.Record(record, record); err != nil {
			t.Fatal(err)
		}
	}
	if got := records(t, l); !reflect.DeepEqual(got, []ledger.Record{hosts}) {
		t.Errorf("records %+v", got)
	}
}

func TestOthersMayNotReadIt(t *testing.T) {
	before := syscall.Umask(0)
	defer syscall.Umask(before)
	path := filepath.Join(t.TempDir(), "hawser/state/ledger.json")
	if err := ledger.New(path, atomicfile.Writer{}).Record(hosts); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): fs.ModeDir | 0o700, filepath.Dir(filepath.Dir(path)): fs.ModeDir | 0o755} {
		info, err := os.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", at, info.Mode(), want)
		}
	}
}

func TestDamagedLedgerSaysWhatItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.json")
	if err := os.WriteFile(path, []byte("[{"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := ledger.New(path, atomicfile.Writer{})
	_, recordsErr := l.Records()
	_, hasErr := l.Has(ledger.Account, "istio-proxy")
	for name, err := range map[string]error{"records": recordsErr, "has": hasErr, "record": l.Record(account), "strike": l.Strike(account)} {
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "backup") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "[{" {
		t.Errorf("it was written over: %s, %v", content, err)
	}
}

// TestCutOffAnywhere: a record that Record has returned for is there after any crash of a later call.
func TestCutOffAnywhere(t *testing.T) {
	for _, c := range []struct {
		name string
		have []ledger.Record
		do   func(l *ledger.Ledger) error
		// may be there when it was cut off; the last one when it is done.
		want []string
	}{
		{"first record", nil, func(l *ledger.Ledger) error { return l.Record(account, hosts) }, []string{"", "block /etc/hosts, account istio-proxy"}},
		{"next record", []ledger.Record{account}, func(l *ledger.Ledger) error { return l.Record(hosts) }, []string{"account istio-proxy", "block /etc/hosts, account istio-proxy"}},
		{"strike", []ledger.Record{account, hosts}, func(l *ledger.Ledger) error { return l.Strike(hosts) }, []string{"block /etc/hosts, account istio-proxy", "account istio-proxy"}},
		{"strike the last", []ledger.Record{account}, func(l *ledger.Ledger) error { return l.Strike(account) }, []string{"account istio-proxy", ""}},
		{"strike what is not there", []ledger.Record{account}, func(l *ledger.Ledger) error { return l.Strike(hosts) }, []string{"account istio-proxy"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for n, cut := 0, "none"; cut != ""; n++ {
				path := filepath.Join(t.TempDir(), "state/ledger.json")
				l := ledger.New(path, atomicfile.Writer{})
				err := l.Record(c.have...)
				if err == nil {
					cut, err = crashtest.At(n, func(before func(string)) error { return c.do(ledger.New(path, atomicfile.Writer{Before: before})) })
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := names(records(t, l)); !slices.Contains(c.want, got) {
					t.Errorf("cut off before %q: %q", cut, got)
				}
				if err := c.do(l); err != nil {
					t.Fatal(err)
				}
				if got, want := names(records(t, l)), c.want[len(c.want)-1]; got != want {
					t.Errorf("cut off before %q, then done again: %q, want %q", cut, got, want)
				}
				if err := l.Clear(); err != nil {
					t.Fatal(err)
				}
				entries, err := os.ReadDir(filepath.Dir(path))
				if err != nil && !errors.Is(err, fs.ErrNotExist) || len(entries) > 1 {
					t.Errorf("cut off before %q: left %v, %v", cut, entries, err)
				}
			}
		})
	}
}
