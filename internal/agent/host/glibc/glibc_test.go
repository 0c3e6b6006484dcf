package glibc_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/host/glibc"
)

func TestVersion(t *testing.T) {
	banner := func(text string) string {
		return "\x7fELF\x00\x00GNU C Library \x00 more\x00" + text + "\nCopyright\x00"
	}
	for _, c := range []struct{ name, file, content, want string }{
		{"Debian", "lib/x86_64-linux-gnu/libc.so.6", "GNU C Library (Debian GLIBC 2.36-9+deb12u4) stable release version 2.36.\n", "2.36"},
		{"merged usr", "usr/lib/aarch64-linux-gnu/libc.so.6", "GNU C Library (Ubuntu GLIBC 2.39-0ubuntu8) stable release version 2.39.\n", "2.39"},
		{"Red Hat", "lib64/libc.so.6", "GNU C Library (GNU libc) stable release version 2.34.\n", "2.34"},
		{"old", "usr/lib64/libc.so.6", "GNU C Library (GNU libc) stable release version 2.17, by Roland McGrath et al.\n", "2.17"},
		{"development", "lib/libc.so.6", "GNU C Library (GNU libc) development release version 2.43.9000.\n", "2.43"},
		{"musl", "lib/libc.musl-x86_64.so.1", "musl libc\n", ""},
		{"no banner", "lib/libc.so.6", "GNU ld script\n", ""},
		{"words before the banner", "lib/libc.so.6", banner("GNU C Library (GNU libc) stable release version 2.41."), "2.41"},
		{"empty", "lib/libc.so.6", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			at := filepath.Join(root, c.file)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(c.content), 0o644); err != nil {
				t.Fatal(err)
			}
			if got := glibc.Version(root); got != c.want {
				t.Errorf("version %q, want %q", got, c.want)
			}
		})
	}
	if got := glibc.Version(t.TempDir()); got != "" {
		t.Errorf("version %q of no library", got)
	}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		have, need string
		want       bool
	}{
		{"2.36", "2.31", false}, {"2.31", "2.31", false}, {"2.9", "2.31", true}, {"2.31", "2.9", false}, {"", "2.31", true},
		{"2", "2.1", true}, {"2.31.1", "2.31", false}, {"3.0", "2.99", false}, {"2.36", "", false}, {"", "", false},
	} {
		if got := glibc.Older(c.have, c.need); got != c.want {
			t.Errorf("Older(%q, %q) = %t", c.have, c.need, got)
		}
	}
}
