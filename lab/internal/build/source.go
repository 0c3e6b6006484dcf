package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Source is a checkout of the lab's module, whose go.mod pins what is built.
type Source struct {
	// Dir holds go.mod.
	Dir string
}

// FindSource returns HAWSER_LAB_SOURCE, or the checkout that this program was compiled from.
func FindSource() (Source, error) {
	dir := os.Getenv("HAWSER_LAB_SOURCE")
	if dir == "" {
		_, file, _, _ := runtime.Caller(0)
		dir = filepath.Join(filepath.Dir(file), "..", "..")
	}
	if !exists(filepath.Join(dir, "go.mod")) {
		return Source{}, fmt.Errorf("the lab's source is not at %s; set HAWSER_LAB_SOURCE to the lab folder of a checkout", dir)
	}
	return Source{Dir: dir}, nil
}

// goModule is the part of `go mod download -json` that is used.
type goModule struct {
	Dir   string
	Error string
}

// Module returns the directory of a module's source at the pinned version, and downloads it first if need be.
func (s Source) Module(ctx context.Context, path string) (string, error) {
	out, err := s.run(ctx, "go", "mod", "download", "-json", path)
	if err != nil {
		return "", err
	}
	var module goModule
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("read what go says of module %s: %w", path, err)
	}
	if module.Error != "" {
		return "", fmt.Errorf("download module %s: %s", path, module.Error)
	}
	return module.Dir, nil
}

// run executes a command in the source directory and returns its output; an error carries the end of what it said.
func (s Source) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	return run(ctx, s.Dir, name, args...)
}

func run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "LC_ALL=C", "PIP_DISABLE_PIP_VERSION_CHECK=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%s is not installed: %w", name, err)
	}
	if err != nil {
		said := strings.TrimSpace(stderr.String() + "\n" + stdout.String())
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, tail(said, 2000))
	}
	return stdout.Bytes(), nil
}

func tail(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return "…" + text[len(text)-most:]
}
