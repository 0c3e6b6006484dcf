package proxy

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// partSuffix marks compressed files on their way; their names are the hashes of what they unpack to.
const partSuffix = ".part"

func partPath(stage string, f *hawserv1.ProxyFile) string {
	return filepath.Join(stage, f.GetSha256()+partSuffix)
}

func named(files []*hawserv1.ProxyFile, path string) bool {
	return slices.ContainsFunc(files, func(f *hawserv1.ProxyFile) bool { return filepath.Clean(f.GetPath()) == path })
}

func partOf(files []*hawserv1.ProxyFile, path string) bool {
	return slices.ContainsFunc(files, func(f *hawserv1.ProxyFile) bool { return f.GetSha256()+partSuffix == path })
}

// sweep removes files that an interrupted call left in the stage and that are not to be kept; paths are relative to it.
func (v *Versions) sweep(stage string, keep func(path string) bool) error {
	return filepath.WalkDir(stage, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(stage, path)
		if err != nil || keep(relative) {
			return err
		}
		v.disk.Step("remove leftover " + relative)
		return os.Remove(path)
	})
}
