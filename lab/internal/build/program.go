package build

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"
)

// Program is one Go binary.
type Program struct {
	// Name is the file name of the binary.
	Name string
	// Package is an import path, or ./cmd/NAME for a program of the lab's own module.
	Package string
	Tags    []string
	// Variables are set at link time: "import/path.name=value".
	Variables []string
	// Sources are the folders of the lab's module that the program is made from, relative to it. Everything else comes
	// from modules, which go.mod and go.sum pin.
	Sources []string
}

// Go builds a program without cgo and returns the path of its binary.
func (c *Cache) Go(ctx context.Context, source Source, program Program) (string, error) {
	inputs := NewInputs("go").Text(runtime.Version(), runtime.GOARCH, program.Package).
		Text(program.args("")...).
		File(filepath.Join(source.Dir, "go.mod")).
		File(filepath.Join(source.Dir, "go.sum"))
	for _, folder := range program.Sources {
		inputs.Tree(filepath.Join(source.Dir, folder))
	}
	key, err := inputs.Key()
	if err != nil {
		return "", err
	}
	dir, err := c.Output(ctx, program.Name, key, func(ctx context.Context, dir string) error {
		_, err := source.run(ctx, "go", program.args(filepath.Join(dir, program.Name))...)
		return err
	})
	return filepath.Join(dir, program.Name), err
}

// args are the arguments of the go command. There is no -trimpath: with it nothing would be shared with the packages that
// ordinary builds and tests have in Go's own cache.
func (p Program) args(output string) []string {
	flags := []string{"-s", "-w"}
	for _, variable := range p.Variables {
		flags = append(flags, "-X", variable)
	}
	args := []string{"build", "-buildvcs=false", "-ldflags", strings.Join(flags, " ")}
	if len(p.Tags) > 0 {
		args = append(args, "-tags", strings.Join(p.Tags, ","))
	}
	return append(args, "-o", output, p.Package)
}
