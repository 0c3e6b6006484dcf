package drift

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// watching runs a files in a directory with two files, a link and a directory, and returns it once it watches.
func watching(t *testing.T) (f *files, at func(string) string, told chan struct{}) {
	t.Helper()
	directory := t.TempDir()
	at = func(name string) string { return filepath.Join(directory, name) }
	must(t, os.Mkdir(at("d"), 0o755))
	for _, name := range []string{"a", "b", "d/a"} {
		must(t, os.WriteFile(at(name), []byte("before"), 0o644))
	}
	f, told = &files{}, make(chan struct{}, 100)
	if followed, err := f.follow([]string{at("a"), at("d"), at("d/a"), at("missing/a")}); followed || err != nil {
		t.Errorf("what does not run follows: %v, %v", followed, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.run(ctx, func() { told <- struct{}{} }) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
	<-told
	return f, at, told
}

// fence makes a change that is told.
func fence(t *testing.T, told <-chan struct{}, change func()) {
	t.Helper()
	change()
	select {
	case <-told:
	case <-time.After(20 * time.Second):
		t.Error("nothing was told")
	}
}

func TestChangesAreTold(t *testing.T) {
	for name, change := range map[string]func(at func(string) string) error{
		"edited":     func(at func(string) string) error { return os.WriteFile(at("a"), []byte("after"), 0o644) },
		"replaced":   func(at func(string) string) error { return os.Rename(at("b"), at("a")) },
		"moved away": func(at func(string) string) error { return os.Rename(at("a"), at("b")) },
		"deleted":    func(at func(string) string) error { return os.Remove(at("a")) },
		"mode":       func(at func(string) string) error { return os.Chmod(at("a"), 0o600) },
		"replaced by a link": func(at func(string) string) error {
			if err := os.Symlink("b", at("link")); err != nil {
				return err
			}
			return os.Rename(at("link"), at("a"))
		},
		"below":                func(at func(string) string) error { return os.Remove(at("d/a")) },
		"directory's mode":     func(at func(string) string) error { return os.Chmod(at("d"), 0o700) },
		"directory is removed": func(at func(string) string) error { return os.RemoveAll(at("d")) },
	} {
		t.Run(name, func(t *testing.T) {
			_, at, told := watching(t)
			fence(t, told, func() { must(t, change(at)) })
		})
	}
}

// The events of one inotify come in their order: what is told after a change of a file that nobody follows is that of the next one.
func TestOthersFilesAreNotTold(t *testing.T) {
	f, at, told := watching(t)
	must(t, os.WriteFile(at("b"), []byte("after"), 0o644))
	must(t, os.WriteFile(at("d/b"), []byte("new"), 0o644))
	fence(t, told, func() { must(t, os.Remove(at("a"))) })
	if n := len(told); n > 0 {
		t.Errorf("%d more were told", n)
	}
	// Another set: what was followed is not any more.
	if followed, err := f.follow([]string{at("b")}); !followed || err != nil {
		t.Errorf("it does not follow: %v", err)
	}
	must(t, os.WriteFile(at("a"), nil, 0o644))
	must(t, os.Remove(at("d/a")))
	fence(t, told, func() { must(t, os.Remove(at("b"))) })
	if n := len(told); n > 0 {
		t.Errorf("%d more were told", n)
	}
}

func TestADirectoryThatCameBackIsFollowed(t *testing.T) {
	f, at, told := watching(t)
	paths := []string{at("d"), at("d/a")}
	if followed, err := f.follow(paths); !followed || err != nil {
		t.Errorf("it does not follow: %v", err)
	}
	fence(t, told, func() { must(t, os.Rename(at("d"), at("e"))) })
	must(t, os.Mkdir(at("d"), 0o755))
	if followed, err := f.follow(paths); !followed || err != nil {
		t.Errorf("it does not follow: %v", err)
	}
	for len(told) > 0 {
		<-told
	}
	fence(t, told, func() { must(t, os.WriteFile(at("d/a"), nil, 0o644)) })
}

func TestADirectoryThatLinksLeadToHasAllItsNames(t *testing.T) {
	f, at, told := watching(t)
	must(t, os.Symlink("d", at("link")))
	if followed, err := f.follow([]string{at("d/other"), at("link/a")}); !followed || err != nil {
		t.Errorf("it does not follow: %v", err)
	}
	fence(t, told, func() { must(t, os.Remove(at("d/a"))) })
}
