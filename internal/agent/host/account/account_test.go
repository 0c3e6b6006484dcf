package account_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/host/account"
	"github.com/hawser-io/hawser/internal/agent/host/command/commandtest"
)

// fakeHost has the files of users and groups, and the tools that edit them.
type fakeHost struct {
	*testing.T
	passwd, group string
	// keepsGroup: userdel leaves the group (login.defs(5), USERGROUPS_ENAB no).
	keepsGroup bool
	// processes: how often userdel still finds one of the user's.
	processes int
	// denied: the tools cannot lock the files.
	denied bool
}

func newHost(t *testing.T, passwd, group string) *fakeHost {
	directory := t.TempDir()
	h := &fakeHost{T: t, passwd: filepath.Join(directory, "passwd"), group: filepath.Join(directory, "group")}
	h.write(h.passwd, passwd)
	h.write(h.group, group)
	return h
}

func (h *fakeHost) users() *account.Users {
	return account.New(commandtest.Programs{"systemd-sysusers": h.sysusers, "userdel": h.userdel, "groupdel": h.groupdel}, h.passwd, h.group)
}

func (h *fakeHost) write(path, content string) {
	h.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		h.Fatal(err)
	}
}

func (h *fakeHost) read(path string) string {
	h.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		h.Fatal(err)
	}
	return string(content)
}

// text is what a test compares: both files.
func (h *fakeHost) text() string { return h.read(h.passwd) + "--\n" + h.read(h.group) }

// sysusers makes what is missing by name; a number that is taken it replaces by another, as systemd-sysusers(8) does.
func (h *fakeHost) sysusers(args []string, _ string) (string, error) {
	if h.denied {
		return "", &commandtest.Exit{Code: 1, Complaint: "Failed to take /etc/passwd lock: Read-only file system"}
	}
	if len(args) != 2 || args[0] != "--inline" || !strings.HasPrefix(args[1], `u istio-proxy 1337 "`) {
		return "", &commandtest.Exit{Code: 1, Complaint: "syntax"}
	}
	for _, f := range []struct{ path, line string }{
		{h.group, "istio-proxy:x:%:\n"}, {h.passwd, "istio-proxy:x:%:%:Istio proxy of Hawser:/var/lib/hawser/proxy:/usr/sbin/nologin\n"},
	} {
		content := h.read(f.path)
		if strings.Contains(content, "istio-proxy:") {
			continue
		}
		number := "1337"
		if strings.Contains(content, ":1337:") {
			number = "998"
		}
		h.write(f.path, content+strings.ReplaceAll(f.line, "%", number))
	}
	return "", nil
}

func (h *fakeHost) userdel([]string, string) (string, error) {
	if h.processes > 0 {
		h.processes--
		return "", &commandtest.Exit{Code: 8, Complaint: "userdel: user istio-proxy is currently used by process 651"}
	}
	h.drop(h.passwd)
	if !h.keepsGroup {
		h.drop(h.group)
	}
	return "", nil
}

func (h *fakeHost) groupdel([]string, string) (string, error) {
	if strings.Contains(h.read(h.passwd), ":1337:") {
		return "", &commandtest.Exit{Code: 8, Complaint: "groupdel: cannot remove the primary group of user"}
	}
	h.drop(h.group)
	return "", nil
}

func (h *fakeHost) drop(path string) {
	var kept strings.Builder
	for line := range strings.Lines(h.read(path)) {
		if !strings.HasPrefix(line, "istio-proxy:") {
			kept.WriteString(line)
		}
	}
	h.write(path, kept.String())
}

const (
	root      = "root:x:0:0:root:/root:/bin/bash\n"
	rootGroup = "root:x:0:\n"
	proxy     = "istio-proxy:x:1337:1337:Istio proxy of Hawser:/var/lib/hawser/proxy:/usr/sbin/nologin\n"
	proxies   = "istio-proxy:x:1337:\n"
)

func TestLook(t *testing.T) {
	none := account.Found{UserNumber: -1, GroupNumber: -1}
	for _, c := range []struct {
		name, passwd, group string
		want                account.Found
		exists              bool
	}{
		{"neither", root, rootGroup, none, false},
		{"both", root + proxy, rootGroup + proxies, account.Found{
			User: account.Entry{Name: "istio-proxy", Number: 1337}, Group: account.Entry{Name: "istio-proxy", Number: 1337}, UserNumber: 1337, GroupNumber: 1337,
		}, true},
		{"number taken", root + "postgres:x:1337:1337::/:/bin/sh\n", rootGroup + "postgres:x:1337:\n", account.Found{
			User: account.Entry{Name: "postgres", Number: 1337}, Group: account.Entry{Name: "postgres", Number: 1337}, UserNumber: -1, GroupNumber: -1,
		}, false},
		{"name taken", "istio-proxy:x:998:998::/:/bin/sh\n", "istio-proxy:x:998:\n", account.Found{UserNumber: 998, GroupNumber: 998}, false},
		{"group alone", root, proxies, account.Found{Group: account.Entry{Name: "istio-proxy", Number: 1337}, UserNumber: -1, GroupNumber: 1337}, false},
		{"lines that are none", "\n# comment\n+::::::\nbroken:x\nodd:x:many:1337\n", "", none, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			users := newHost(t, c.passwd, c.group).users()
			if got, err := users.Look(); err != nil || got != c.want {
				t.Errorf("found %+v, %v, want %+v", got, err, c.want)
			}
			if exists, err := users.Exists(); err != nil || exists != c.exists {
				t.Errorf("exists: %t, %v", exists, err)
			}
		})
	}
	missing := account.New(commandtest.Programs{}, "/no/such/file", "/no/such/file")
	if _, err := missing.Exists(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file of users: %v", err)
	}
}

func TestCreateAndRemove(t *testing.T) {
	for _, c := range []struct {
		name, passwd, group string
		keepsGroup          bool
	}{
		{"user takes its group along", root, rootGroup, false},
		{"group is kept by userdel", root, rootGroup, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, c.passwd, c.group)
			h.keepsGroup = c.keepsGroup
			before := h.text()
			for range 2 {
				if err := h.users().Create(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := h.text(), root+proxy+"--\n"+rootGroup+proxies; got != want {
				t.Errorf("created:\n%s\nwant\n%s", got, want)
			}
			for range 2 {
				if err := h.users().Remove(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := h.text(); got != before {
				t.Errorf("removed:\n%s\nwant\n%s", got, before)
			}
		})
	}
}

// What the proxy started may end a moment after it.
func TestRemoveWaitsForProcessesThatEnd(t *testing.T) {
	h := newHost(t, root+proxy, rootGroup+proxies)
	h.processes = 3
	if err := h.users().Remove(t.Context()); err != nil || h.text() != root+"--\n"+rootGroup {
		t.Errorf("%v:\n%s", err, h.text())
	}
}

func TestRemoveLeavesUsersOfTheNameWithAnotherNumber(t *testing.T) {
	h := newHost(t, "istio-proxy:x:998:998::/:/bin/sh\n", "istio-proxy:x:998:\n")
	before := h.text()
	if err := h.users().Remove(t.Context()); err != nil || h.text() != before {
		t.Errorf("%v:\n%s", err, h.text())
	}
}

func TestCreateSaysWhatIsWrong(t *testing.T) {
	taken := newHost(t, root+"postgres:x:1337:1337::/:/bin/sh\n", rootGroup)
	if err := taken.users().Create(t.Context()); err == nil || !strings.Contains(err.Error(), "getent passwd istio-proxy 1337") {
		t.Errorf("number taken: %v", err)
	}
	denied := newHost(t, root, rootGroup)
	denied.denied = true
	if err := denied.users().Create(t.Context()); err == nil || !strings.Contains(err.Error(), "Read-only file system") {
		t.Errorf("files cannot be written: %v", err)
	}
}
