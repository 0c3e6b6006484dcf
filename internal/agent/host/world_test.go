package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hawser-io/hawser/internal/agent/host/file"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// worldFile is a file, directory or symbolic link that a machine has before it joins.
type worldFile struct {
	path    string
	mode    fs.FileMode
	content string
	id      file.ID
}

// packaged is the unit that the agent's package brings.
const packaged = "/usr/lib/systemd/system/hawser-proxy@.service"

// ordinaryWorld is what every machine has; later files of the same path replace these.
func ordinaryWorld() []worldFile {
	return []worldFile{
		{path: "/etc", mode: fs.ModeDir | 0o755},
		{path: "/etc/hosts", mode: 0o644, content: "127.0.0.1 localhost\n"},
		{path: "/etc/resolv.conf", mode: 0o644, content: "search example.com\nnameserver 192.0.2.53\n"},
		{path: "/etc/passwd", mode: 0o644, content: "root:x:0:0::/root:/bin/sh\n"},
		{path: "/etc/group", mode: 0o644, content: "root:x:0:\n"},
		{path: "/etc/passwd-", mode: 0o600, content: "an older one\n"},
		{path: "/etc/systemd", mode: fs.ModeDir | 0o755},
		{path: "/etc/systemd/system", mode: fs.ModeDir | 0o755},
		{path: "/usr", mode: fs.ModeDir | 0o755},
		{path: "/usr/lib", mode: fs.ModeDir | 0o755},
		{path: "/usr/lib/systemd", mode: fs.ModeDir | 0o755},
		{path: "/usr/lib/systemd/system", mode: fs.ModeDir | 0o755},
		{path: packaged, mode: 0o644, content: "[Unit]\n"},
		{path: "/run", mode: fs.ModeDir | 0o755},
		{path: "/var", mode: fs.ModeDir | 0o755},
		{path: "/var/lib", mode: fs.ModeDir | 0o755},
		// These two are the store's, which removes them when a machine has left.
		{path: plan.StateDirectory, mode: fs.ModeDir | 0o711},
		{path: plan.StateDirectory + "/state", mode: fs.ModeDir | 0o700},
	}
}

// put makes a file, whatever the umask is.
func (m *fakeMachine) put(f worldFile) {
	m.Helper()
	at := m.path(f.path)
	var err error
	switch {
	case f.mode.IsDir():
		if err = os.Mkdir(at, 0o755); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	case f.mode&fs.ModeSymlink != 0:
		err = errors.Join(os.RemoveAll(at), os.Symlink(f.content, at), m.owners.GiveLink(at, f.id))
	default:
		err = os.WriteFile(at, []byte(f.content), 0o600)
	}
	if err == nil && f.mode&fs.ModeSymlink == 0 {
		err = m.own(at, f)
	}
	if err != nil {
		m.Fatal(err)
	}
}

func (m *fakeMachine) own(at string, f worldFile) error {
	opened, err := os.Open(filepath.Clean(at))
	if err != nil {
		return err
	}
	return errors.Join(m.owners.Give(opened, f.id), opened.Chmod(f.mode), opened.Close())
}

// remove takes ordinary files out of the world.
func (m *fakeMachine) remove(paths ...string) {
	m.Helper()
	for _, path := range paths {
		if err := os.RemoveAll(m.path(path)); err != nil {
			m.Fatal(err)
		}
	}
}
