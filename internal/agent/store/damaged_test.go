package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// damages are what becomes of a file; nil removes it.
func damages(file []byte) map[string][]byte {
	noise := make([]byte, len(file))
	source := rand.New(rand.NewPCG(1, uint64(len(file))))
	for i := range noise {
		noise[i] = byte(source.Uint32())
	}
	newer := append([]byte(mark+"2 not-of-our-time\n"), file...)
	flipped := bytes.Clone(file)
	flipped[len(flipped)*2/3] ^= 1
	all := map[string][]byte{
		"missing": nil, "empty": {}, "zeroed": make([]byte, len(file)), "random": noise, "newer": newer, "flipped": flipped,
		"half-zeroed": append(bytes.Clone(file[:len(file)/2]), make([]byte, len(file)-len(file)/2)...),
		"doubled":     append(bytes.Clone(file), file...),
	}
	// TestEveryTruncationIsFound does them all; each one here is written to the disk.
	for _, n := range []int{1, len(mark) - 1, len(mark), len(mark) + 1, len(seal(nil)) / 2, len(seal(nil)) - 1, len(seal(nil)), len(file) / 2, len(file) - 1} {
		all[fmt.Sprintf("truncated-to-%d", n)] = file[:n]
	}
	return all
}

func TestEveryTruncationIsFound(t *testing.T) {
	s := joinedStore(t)
	identity, err := s.Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range identityFiles() {
		take := s.taker(name, identity)
		file := []byte(files(t, s)[first+"/"+name])
		for n := range file {
			content, _, err := unseal(file[:n])
			if err == nil {
				err = take(content)
			}
			if err == nil {
				t.Errorf("%s truncated to %d of %d bytes is taken", name, n, len(file))
			}
		}
	}
}

func damage(t *testing.T, path string, content []byte) {
	t.Helper()
	err := os.Remove(path)
	if content != nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func joinedStore(t *testing.T) *Store {
	t.Helper()
	s := New(t.TempDir())
	if err := join(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// files reads all that the store has.
func files(t *testing.T, s *Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, directory := range []string{first, spare} {
		for _, name := range identityFiles() {
			content, err := os.ReadFile(s.path(directory + "/" + name))
			if err != nil {
				t.Fatal(err)
			}
			all[directory+"/"+name] = string(content)
		}
	}
	return all
}

func TestADamagedFileOfTheIdentityIsMendedByItsCopy(t *testing.T) {
	s := joinedStore(t)
	whole := files(t, s)
	for name, file := range whole {
		for kind, content := range damages([]byte(file)) {
			if name == first+"/"+enrollmentFile && content == nil {
				continue // Then it has left.
			}
			damage(t, s.path(name), content)
			if identity, err := s.Identity(); err != nil || identity.Enrollment != enrollment {
				t.Fatalf("%s %s: identity %v, %v", name, kind, identity, err)
			}
			mended, err := s.Mend()
			if err != nil || !maps.Equal(files(t, s), whole) {
				t.Fatalf("%s %s: not mended: %v", name, kind, err)
			}
			if want := name == first+"/"+filepath.Base(name) || content != nil; want != slices.Equal(mended, []string{s.path(name)}) {
				t.Fatalf("%s %s: told %v", name, kind, mended)
			}
		}
	}
}

func TestAnIdentityThatIsLostSaysTheOneWayOut(t *testing.T) {
	for _, name := range identityFiles() {
		s := joinedStore(t)
		for kind, content := range damages([]byte(files(t, s)[first+"/"+name])) {
			if name == enrollmentFile && content == nil {
				continue
			}
			damage(t, s.path(first+"/"+name), content)
			damage(t, s.path(spare+"/"+name), content)
			_, err := s.Identity()
			lost := (*Damaged)(nil)
			if !errors.As(err, &lost) || lost.Path != s.path(first+"/"+name) || !strings.Contains(err.Error(), "hawser-agent leave") {
				t.Fatalf("%s %s: %v", name, kind, err)
			}
			if newer := strings.Contains(err.Error(), "install that agent again"); newer != (kind == "newer") {
				t.Fatalf("%s %s: %v", name, kind, err)
			}
			if _, err := s.Mend(); !errors.As(err, &lost) {
				t.Fatalf("%s %s: mending: %v", name, kind, err)
			}
			if _, err := s.Key(); name == "key.pem" && err == nil {
				t.Fatalf("%s %s: a machine that has joined got another key", name, kind)
			}
			damage(t, s.path(first+"/"+name), []byte{})
			damage(t, s.path(spare+"/"+name), []byte{})
		}
		if err := s.Forget(); err != nil {
			t.Fatal(err)
		}
		if err := join(s); err != nil {
			t.Errorf("joining again after %s was lost: %v", name, err)
		}
	}
}

func TestADamagedDesiredStateIsAskedForAnew(t *testing.T) {
	s := joinedStore(t)
	path := s.path(desiredFile)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for kind, content := range damages(file) {
		damage(t, path, content)
		state, err := s.Desired()
		if content == nil && !errors.Is(err, ErrNone) || content != nil && (err == nil || errors.Is(err, ErrNone) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: %v, %v", kind, state, err)
		}
		if err := s.KeepDesired(&hawserv1.DesiredState{Generation: "g2"}); err != nil {
			t.Fatal(err)
		}
		if state, err := s.Desired(); err != nil || state.GetGeneration() != "g2" {
			t.Errorf("%s: after it came again: %v, %v", kind, state, err)
		}
	}
}

// Agents before there were seals wrote the bare contents, and no copies.
func TestFilesOfTheFormerFormatAreRead(t *testing.T) {
	s := joinedStore(t)
	whole := files(t, s)
	for name, file := range whole {
		_, content, _ := strings.Cut(file, "\n")
		damage(t, s.path(name), []byte(content))
	}
	if err := os.RemoveAll(s.path(spare)); err != nil {
		t.Fatal(err)
	}
	state := &hawserv1.DesiredState{Revision: "default", Notices: []*hawserv1.Notice{{Reason: "Told"}}}
	bare, err := proto.MarshalOptions{Deterministic: true}.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	// The generation as the manager makes it.
	state.Generation = sumOf(bare)
	former, err := proto.MarshalOptions{Deterministic: true}.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	damage(t, s.path(desiredFile), former)

	if identity, err := s.Identity(); err != nil || identity.Enrollment != enrollment {
		t.Errorf("identity %v, %v", identity, err)
	}
	if err := s.Prepare(); err != nil {
		t.Fatal(err)
	}
	if mended, err := s.Mend(); err != nil || len(mended) > 0 {
		t.Errorf("mended %v, %v", mended, err)
	}
	if files := files(t, s); files[spare+"/key.pem"] != files[first+"/key.pem"] {
		t.Error("there is no copy of the key")
	}
	if kept, err := s.Desired(); err != nil || !proto.Equal(kept, state) {
		t.Errorf("desired %v, %v", kept, err)
	}
	for n := range former {
		damage(t, s.path(desiredFile), former[:n])
		if kept, err := s.Desired(); err == nil {
			t.Errorf("truncated to %d: %v", n, kept)
		}
	}
}
