// Package table writes tables for people: aligned columns two spaces apart, as narrow as their cells, so that a usual list fits into 80
// columns. Rows come in as text; a watch goes on with the widths that the first rows had. Colour only repeats what a cell says.
package table

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Table writes rows to one writer.
type Table struct {
	w       io.Writer
	colour  bool
	columns []string
	widths  []int
	headed  bool
}

// New returns a table with these column names, which are shown in upper case above the first row. With colour, cells that say a
// state are coloured.
func New(w io.Writer, colour bool, columns ...string) *Table {
	t := &Table{w: w, colour: colour, widths: make([]int, len(columns))}
	for _, column := range columns {
		t.columns = append(t.columns, strings.ToUpper(column))
	}
	return t
}

// Write writes rows; each must have a cell for every column. Columns get as wide as the widest cell so far.
func (t *Table) Write(rows ...[]string) error {
	all := rows
	if !t.headed {
		all = append([][]string{t.columns}, rows...)
	}
	for _, row := range all {
		for i, cell := range row {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for i, row := range all {
		t.line(&out, row, !t.headed && i == 0)
	}
	t.headed = true
	_, err := io.WriteString(t.w, out.String())
	return err
}

func (t *Table) line(out *strings.Builder, row []string, header bool) {
	for i, cell := range row {
		text := cell
		if t.colour && !header {
			text = Colour(cell)
		}
		out.WriteString(text)
		if i < len(row)-1 {
			out.WriteString(strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell)+2))
		}
	}
	out.WriteByte('\n')
}

// Colour returns the cell with the terminal's colour of the state that it says: good green, bad red, in between yellow. Other cells stay.
func Colour(cell string) string {
	const red, green, yellow, reset = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"
	switch cell {
	case "True", "Ready", "Active", "Healthy":
		return green + cell + reset
	case "False", "Revoked", "Expired", "Unhealthy", "Warning":
		return red + cell + reset
	case "Unknown", "Used", "NotReady":
		return yellow + cell + reset
	}
	return cell
}
