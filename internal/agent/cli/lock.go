package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// lock keeps two commands from changing the machine's membership at the same time. It ends with the process at the latest.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return nil, errors.New("this changes users, units and packet filters: run it with sudo")
	}
	if err != nil {
		return nil, fmt.Errorf("lock the machine's membership: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && !leadsTo(path, file) {
		// Its holder removed it between our opening and our locking it: who comes next makes another file.
		err = syscall.EWOULDBLOCK
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("another join or leave is running on this host: wait until it is done (%w)", err), file.Close())
	}
	return func() {
		// Removed while it is held, so that it cannot be another one's. What fails here is of no consequence.
		_ = os.Remove(path)
		_ = file.Close()
	}, nil
}

func leadsTo(path string, file *os.File) bool {
	held, err := file.Stat()
	if err != nil {
		return false
	}
	found, err := os.Stat(path)
	return err == nil && os.SameFile(held, found)
}
