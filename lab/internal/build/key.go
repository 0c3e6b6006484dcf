package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Key is the hash of everything that an output is made from.
type Key [sha256.Size]byte

// String is short enough for a file name; 64 bits tell apart the outputs of one cache.
func (k Key) String() string { return hex.EncodeToString(k[:8]) }

// Inputs collects what goes into an output. The order of the calls matters; so does every byte.
type Inputs struct {
	hash hash.Hash
	err  error
}

// NewInputs starts a collection. The kind separates outputs of different sorts with the same inputs.
func NewInputs(kind string) *Inputs {
	in := &Inputs{hash: sha256.New()}
	return in.Text(kind)
}

// Text adds values such as versions and flags.
func (in *Inputs) Text(values ...string) *Inputs {
	for _, value := range values {
		// The length keeps ("ab","c") apart from ("a","bc").
		fmt.Fprintf(in.hash, "%d:%s\n", len(value), value)
	}
	return in
}

// File adds the content of a file.
func (in *Inputs) File(path string) *Inputs {
	file, err := os.Open(path)
	if err != nil {
		return in.fail(err)
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return in.fail(err)
	}
	return in.Text(hex.EncodeToString(sum.Sum(nil)))
}

// Tree adds the names and contents of all regular files below a directory.
func (in *Inputs) Tree(root string) *Inputs {
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		in.Text(name).File(path)
		return nil
	})
	if err != nil {
		return in.fail(err)
	}
	return in
}

// Key ends the collection.
func (in *Inputs) Key() (Key, error) {
	if in.err != nil {
		return Key{}, fmt.Errorf("hash the inputs of a build: %w", in.err)
	}
	return Key(in.hash.Sum(nil)), nil
}

func (in *Inputs) fail(err error) *Inputs {
	if in.err == nil {
		in.err = err
	}
	return in
}
