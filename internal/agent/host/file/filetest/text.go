package filetest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/host/file"
)

// Text prints what is below root, one line for each file: path, mode, owner, and content or target. A long content is shortened.
func Text(t testing.TB, root string, owners file.Owners) string {
	t.Helper()
	var text strings.Builder
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		id := owners.Of(path, info)
		fmt.Fprintf(&text, "/%s %v %d:%d", relative, info.Mode(), id.UID, id.GID)
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			fmt.Fprintf(&text, " -> %s\n", target)
			return err
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			fmt.Fprintf(&text, " %q\n", shortened(content))
			return err
		default:
			text.WriteString("\n")
			return nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func shortened(content []byte) string {
	const most = 400
	if len(content) <= most {
		return string(content)
	}
	return fmt.Sprintf("%s… (%d bytes)", content[:most], len(content))
}
