package store

import (
	"bytes"
	"errors"
	"fmt"
)

// Damaged says that a part of the machine's identity is lost: neither its file nor the file's copy is of use. Reading again will not help, and
// the manager cannot either, as it would not know the machine.
type Damaged struct {
	Path  string
	cause error
}

func (d *Damaged) Error() string {
	if errors.Is(d.cause, errNewer) {
		return fmt.Sprintf("read %s: %v: install that agent again, or run `hawser-agent leave` and join again with a new token", d.Path, d.cause)
	}
	return fmt.Sprintf("the machine's identity is damaged: read %s: %v: run `hawser-agent leave` and join again with a new token", d.Path, d.cause)
}

// Unwrap gives what is wrong with the file.
func (d *Damaged) Unwrap() error { return d.cause }

// Directories of the identity. Each file is in both: one that is damaged is read from, and mended by, the other.
const (
	first = "identity"
	spare = "spare"
)

// enrollmentFile is what makes a host a machine: without it there is no identity, whatever else lies there.
const enrollmentFile = "agent.json"

func identityFiles() []string { return []string{enrollmentFile, "key.pem", "ca.pem", "cert.pem"} }

// errGone: a machine has the file, and it is not there.
var errGone = errors.New("the file is gone")

// load gives take the content of a file of the identity, or of its copy if the file is missing or damaged. take fails if it cannot use the
// content. What is lost is *Damaged; a file that could not be read is the error of the system.
func (s *Store) load(name string, take func(content []byte) error) error {
	err := s.loadFrom(first, name, take)
	if err == nil || s.loadFrom(spare, name, take) == nil {
		return nil
	}
	return err
}

func (s *Store) loadFrom(directory, name string, take func(content []byte) error) error {
	path := directory + "/" + name
	file, err := s.read(path)
	if errors.Is(err, ErrNone) {
		return &Damaged{s.path(path), errGone}
	}
	if err != nil {
		return err
	}
	content, _, err := unseal(file)
	if err == nil {
		err = take(content)
	}
	if err != nil {
		return &Damaged{s.path(path), err}
	}
	return nil
}

// keep stores a file of the identity, its copy first: if both are cut off halfway by a disk that lied, then not at the same time.
func (s *Store) keep(name string, content []byte) error {
	for _, directory := range []string{spare, first} {
		if err := s.write(directory+"/"+name, seal(content)); err != nil {
			return err
		}
	}
	return nil
}

// Mend makes each file of the identity and its copy the same, and returns the paths of those that were damaged. What is lost altogether stays
// as it is: reading it says so. Before a machine has joined there is nothing to mend.
func (s *Store) Mend() (mended []string, err error) {
	identity, err := s.Identity()
	if err != nil {
		return nil, err
	}
	for _, name := range identityFiles() {
		at, err := s.mend(name, s.taker(name, identity))
		if at != "" {
			mended = append(mended, at)
		}
		if err != nil {
			return mended, err
		}
	}
	return mended, nil
}

// mend writes over the one of two files that is of no use, and returns its path if it was there. A machine that joined before there were copies
// gets them.
func (s *Store) mend(name string, take func([]byte) error) (damaged string, err error) {
	for _, way := range []struct{ from, to string }{{first, spare}, {spare, first}} {
		if s.loadFrom(way.from, name, take) != nil {
			continue
		}
		kept, err := s.read(way.from + "/" + name)
		if err != nil {
			return "", err
		}
		other, err := s.read(way.to + "/" + name)
		switch {
		case err == nil && bytes.Equal(kept, other):
			return "", nil
		case s.loadFrom(way.to, name, take) != nil && (err == nil || way.to == first):
			damaged = s.path(way.to + "/" + name)
		}
		return damaged, s.write(way.to+"/"+name, kept)
	}
	return "", nil
}

// taker says whether a content is what the file of this name has to hold, for the machine with this identity.
func (s *Store) taker(name string, identity *Identity) func([]byte) error {
	return func(content []byte) (err error) {
		switch name {
		case enrollmentFile:
			_, err = parseEnrollment(content)
		case "key.pem":
			_, err = parseKey(content)
		case "cert.pem":
			_, err = chainOf(identity.Key, content)
		default:
			_, err = parseCertificates(content)
		}
		return err
	}
}
