package host

import (
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/atomicfile/crashtest"
	"github.com/hawser-io/hawser/internal/agent/converge"
	"github.com/hawser-io/hawser/internal/agent/host/file"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/golden"
)

// underAgentsUmask gives the process the umask that the agent's unit sets.
func underAgentsUmask(t *testing.T) {
	before := syscall.Umask(0o077)
	t.Cleanup(func() { syscall.Umask(before) })
}

func (m *fakeMachine) converge() []string {
	m.Helper()
	return m.become(desired())
}

func (m *fakeMachine) become(want *hawserv1.DesiredState) []string {
	m.Helper()
	result, err := converge.Converger{Host: m.host()}.Converge(m.Context(), want)
	if err != nil {
		m.Fatal(err)
	}
	var lines []string
	for _, taken := range result.Taken {
		lines = append(lines, taken.Step.String())
	}
	return lines
}

func (m *fakeMachine) restore() {
	m.Helper()
	if err := m.host().Restore(m.Context()); err != nil {
		m.Fatal(err)
	}
}

// TestJoinedMachine shows all files of a joined machine. Modes and owners are what the proxy's user needs and no more, under
// the umask of the agent's unit as well.
func TestJoinedMachine(t *testing.T) {
	underAgentsUmask(t)
	m := newMachine(t)
	before := m.text()
	m.converge()
	golden.Check(t, "joined.golden", m.text())
	if steps := m.converge(); len(steps) > 0 {
		t.Errorf("converging again took steps:\n%s", strings.Join(steps, "\n"))
	}
	for range 2 {
		m.restore()
		if after := m.text(); after != before {
			t.Errorf("restored:\n%s\nwant\n%s", after, before)
		}
	}
}

// worlds are machines that are not quite like others before they join.
var worlds = []struct {
	name   string
	files  []worldFile
	absent []string
}{
	{name: "ordinary"},
	{name: "no hosts file and no copies", absent: []string{"/etc/hosts", "/etc/passwd-"}},
	{name: "no resolv.conf", absent: []string{"/etc/resolv.conf"}},
	{name: "empty hosts file", files: []worldFile{{path: "/etc/hosts", mode: 0o644}}},
	{name: "hosts file without newline at its end", files: []worldFile{{path: "/etc/hosts", mode: 0o600, content: "127.0.0.1 localhost"}}},
	{name: "hosts file of somebody's", files: []worldFile{{path: "/etc/hosts", mode: 0o664, content: "127.0.0.1 localhost\n", id: file.ID{UID: 12, GID: 34}}}},
	{name: "resolv.conf is a link", files: []worldFile{
		{path: "/run/resolvconf", mode: fs.ModeDir | 0o755},
		{path: "/run/resolvconf/resolv.conf", mode: 0o640, content: "nameserver 192.0.2.53\n", id: file.ID{UID: 12, GID: 34}},
		{path: "/etc/resolv.conf", mode: fs.ModeSymlink, content: "../run/resolvconf/resolv.conf"},
	}},
	{name: "resolv.conf is a link to nothing", files: []worldFile{{path: "/etc/resolv.conf", mode: fs.ModeSymlink, content: "/run/resolv.conf"}}},
	{name: "directories of another mode and owner", files: []worldFile{
		{path: plan.StateDirectory, mode: fs.ModeDir | fs.ModeSetgid | 0o700, id: file.ID{UID: 12, GID: 34}},
		{path: plan.StateDirectory + "/somebodys", mode: 0o600},
		{path: plan.SlotA.DropIn(), mode: fs.ModeDir | 0o700, id: file.ID{UID: 12, GID: 34}},
		{path: plan.SlotA.DropIn() + "/10-mine.conf", mode: 0o640, content: "[Service]\n"},
	}},
	{name: "a drop-in of the same name", files: []worldFile{
		{path: plan.SlotA.DropIn(), mode: fs.ModeDir | 0o755},
		{path: plan.SlotA.DropIn() + "/50-hawser.conf", mode: 0o640, content: "mine\n", id: file.ID{UID: 12, GID: 34}},
	}},
}

func TestMachinesAreRestoredByteForByte(t *testing.T) {
	underAgentsUmask(t)
	for _, c := range worlds {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, c.files...)
			m.remove(c.absent...)
			before := m.text()
			m.converge()
			if steps := m.converge(); len(steps) > 0 {
				t.Errorf("converging again took steps:\n%s", strings.Join(steps, "\n"))
			}
			m.restore()
			if after := m.text(); after != before {
				t.Errorf("restored:\n%s\nwant\n%s", after, before)
			}
		})
	}
}

// TestKilledAnywhere crashes before each change of the file system; on a machine of another kind before some. Repeating what
// was cut off finishes it, and restoring undoes it.
func TestKilledAnywhere(t *testing.T) {
	underAgentsUmask(t)
	for i, stride := range []int{1, 13} {
		t.Run(worlds[i].name, func(t *testing.T) {
			var before, joined string
			in := func(test func(m *fakeMachine)) {
				m := newMachine(t, worlds[i].files...)
				defer m.owners.Close()
				m.remove(worlds[i].absent...)
				test(m)
			}
			in(func(m *fakeMachine) {
				before = m.text()
				m.converge()
				joined = m.text()
			})
			for n, cut := 0, "none"; cut != ""; n += stride {
				in(func(m *fakeMachine) {
					cut = m.crashAt(n, func() { m.converge() })
					if n%4 == 0 {
						m.converge()
						m.want(joined, "join cut off before %q, finished", cut)
					}
					m.restore()
					m.want(before, "join cut off before %q, restored", cut)
				})
			}
			for n, cut := 0, "none"; cut != ""; n += stride {
				in(func(m *fakeMachine) {
					m.converge()
					cut = m.crashAt(n, m.restore)
					m.restore()
					m.want(before, "restoration cut off before %q, finished", cut)
				})
			}
		})
	}
}

func (m *fakeMachine) want(text, format string, args ...any) {
	m.Helper()
	if got := m.text(); got != text {
		m.Fatalf(format+":\n%s\nwant\n%s", append(args, got, text)...)
	}
}

func (m *fakeMachine) crashAt(n int, work func()) string {
	m.Helper()
	cut, err := crashtest.At(n, func(before func(string)) error {
		m.before = before
		work()
		return nil
	})
	m.before = nil
	if err != nil {
		m.Fatal(err)
	}
	return strings.ReplaceAll(cut, filepath.Clean(m.root), "")
}
