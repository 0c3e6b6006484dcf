package table

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Coloured reports whether colours are wanted on w: only on a terminal that can show them, and not where NO_COLOR is set
// (https://no-color.org).
func Coloured(w io.Writer, getenv func(string) string) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}
