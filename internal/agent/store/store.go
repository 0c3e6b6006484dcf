package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/atomicfile"
)

// DefaultDirectory is where the agent keeps its state; what this package keeps there is readable by root alone.
const DefaultDirectory = "/var/lib/hawser"

const (
	desiredFile = "state/desired.pb"
	begunFile   = "state/begun"
)

// ErrNone is returned for what was never stored.
var ErrNone = errors.New("nothing stored")

// Store is one directory: identity/{key.pem,cert.pem,ca.pem,agent.json}, a copy of these in spare, and state/{desired.pb,begun}. Its methods may be called
// from several processes: every write is one atomic rename.
type Store struct {
	directory string
	files     atomicfile.Writer
}

// New returns the store in directory, which need not exist yet. It does no I/O.
func New(directory string) *Store { return NewWith(directory, atomicfile.Writer{}) }

// NewWith is New with the writer of its files.
func NewWith(directory string, files atomicfile.Writer) *Store {
	return &Store{directory: directory, files: files}
}

// Directory is where the store is.
func (s *Store) Directory() string { return s.directory }

// Prepare makes the directories and removes leftovers of a crash. Repeating it changes nothing.
func (s *Store) Prepare() error {
	for _, directory := range []struct {
		path string
		mode fs.FileMode
	}{
		// The proxy's user passes through the outer directory, to its own files in others.
		{s.directory, 0o711}, {s.path(first), 0o700}, {s.path(spare), 0o700}, {s.path("state"), 0o700},
	} {
		if err := s.files.MakeDirectory(directory.path, directory.mode); err != nil {
			return fmt.Errorf("make the agent's directory: %w", err)
		}
		if err := s.files.ClearDirectory(directory.path); err != nil {
			return err
		}
	}
	return nil
}

// Desired returns the state that was kept last, ErrNone if there is none. One that is damaged, or that a newer agent wrote, is an error: the
// manager sends it again. It must not be taken for a state, as an empty file would be one that asks for nothing.
func (s *Store) Desired() (*hawserv1.DesiredState, error) {
	file, err := s.read(desiredFile)
	if err != nil {
		return nil, err
	}
	content, sealed, err := unseal(file)
	state := &hawserv1.DesiredState{}
	if err == nil {
		err = proto.Unmarshal(content, state)
	}
	if err == nil && !sealed && !authentic(state) {
		err = errChanged
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; the manager sends it again", s.path(desiredFile), err)
	}
	return state, nil
}

// authentic tells a state that an older agent kept without a seal: its generation is the SHA-256 of its encoding without generation and token.
func authentic(state *hawserv1.DesiredState) bool {
	bare := proto.CloneOf(state)
	bare.Generation, bare.Token = "", nil
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
	return err == nil && sumOf(content) == state.GetGeneration()
}

func sumOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// KeepDesired stores the state for the next boot, when the manager may be out of reach. The Istio token is left out: it
// is a bearer secret, and belongs on a file system that a reboot forgets.
func (s *Store) KeepDesired(state *hawserv1.DesiredState) error {
	kept := proto.CloneOf(state)
	kept.Token = nil
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(kept)
	if err != nil {
		return fmt.Errorf("encode the desired state: %w", err)
	}
	return s.write(desiredFile, seal(content))
}

// Begin notes that the state of a generation is about to be applied, which KeepDesired ends.
func (s *Store) Begin(generation string) error { return s.write(begunFile, []byte(generation)) }

// Begun is the generation that was begun last, empty if none is known: nothing but how long a start waits depends on it. The host is between two states
// if it is another one than that of Desired.
func (s *Store) Begun() string {
	generation, err := s.read(begunFile)
	if err != nil {
		return ""
	}
	return string(generation)
}

// Forget removes identity and state. What else lies in the directory belongs to others and stays. Repeating it is fine.
func (s *Store) Forget() error {
	if err := s.forget(); err != nil {
		return fmt.Errorf("forget the machine's identity: %w", err)
	}
	return nil
}

func (s *Store) forget() error {
	// agent.json goes first, also for whoever looks after a power cut: without it the machine has not joined, whatever else is left.
	s.files.Step("remove enrollment")
	err := os.Remove(s.path(first + "/" + enrollmentFile))
	if err == nil {
		err = atomicfile.SyncDirectory(s.path(first))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range []string{spare, first, desiredFile, begunFile} {
		s.files.Step("remove " + name)
		if err := os.RemoveAll(s.path(name)); err != nil {
			return err
		}
	}
	for _, directory := range []string{s.path("state"), s.directory} {
		if err := errors.Join(s.files.ClearDirectory(directory), s.files.Clear(directory)); err != nil {
			return err
		}
		s.files.Step("remove directory " + directory)
		if err := os.Remove(directory); err != nil && !errors.Is(err, fs.ErrNotExist) && !notEmpty(directory) {
			return err
		}
	}
	return nil
}

func notEmpty(directory string) bool {
	entries, err := os.ReadDir(directory)
	return err == nil && len(entries) > 0
}

func (s *Store) path(name string) string { return filepath.Join(s.directory, name) }

func (s *Store) read(name string) ([]byte, error) {
	content, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("read the agent's state: %w", err)
	}
	return content, nil
}

// written is when a file of the identity got its content, zero if it is not there.
func (s *Store) written(name string) time.Time {
	info, err := os.Stat(s.path(first + "/" + name))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func (s *Store) write(name string, content []byte) error {
	return s.files.Write(atomicfile.File{Path: s.path(name), Mode: 0o600}, content)
}
