package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestOutputIsProducedOnce(t *testing.T) {
	cache, err := OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	produce := func(_ context.Context, dir string) error {
		made++
		return os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644)
	}
	for range 2 {
		dir, err := cache.Output(t.Context(), "thing", Key{1}, produce)
		if err != nil {
			t.Fatal(err)
		}
		if content, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(content) != "content" {
			t.Errorf("output holds %q, %v", content, err)
		}
	}
	if _, err := cache.Output(t.Context(), "thing", Key{2}, produce); err != nil {
		t.Fatal(err)
	}
	if made != 2 {
		t.Errorf("produced %d times for two keys", made)
	}
}

func TestFailedOutputLeavesNothing(t *testing.T) {
	cache, err := OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	_, err = cache.Output(t.Context(), "thing", Key{}, func(_ context.Context, dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o644), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("error is %v", err)
	}
	left, err := filepath.Glob(filepath.Join(cache.Root(), "*thing*"))
	if err != nil {
		t.Fatal(err)
	}
	if left = slices.DeleteFunc(left, func(path string) bool { return filepath.Base(path) == ".lock-thing" }); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestKeyDependsOnEveryInput(t *testing.T) {
	root := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := func(in *Inputs) Key {
		t.Helper()
		key, err := in.Key()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	file := write("a", "one")
	tree := func() *Inputs { return NewInputs("x").Tree(root) }
	base := key(tree())
	if key(tree()) != base {
		t.Error("same inputs, different keys")
	}
	write("a", "two")
	changed := key(tree())
	write("a", "one")
	if err := os.Rename(file, filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	renamed := key(tree())
	if base == changed || base == renamed || changed == renamed {
		t.Errorf("keys do not differ: base %s, changed %s, renamed %s", base, changed, renamed)
	}
	if key(NewInputs("x").Text("ab", "c")) == key(NewInputs("x").Text("a", "bc")) {
		t.Error("neighbouring values run together")
	}
	if key(NewInputs("x")) == key(NewInputs("y")) {
		t.Error("kinds do not separate")
	}
}

func TestKeyReportsMissingFile(t *testing.T) {
	if _, err := NewInputs("x").File(filepath.Join(t.TempDir(), "absent")).Text("more").Key(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}
