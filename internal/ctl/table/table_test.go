package table

import (
	"bytes"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	var out bytes.Buffer
	table := New(&out, false, "Name", "Ready", "Age")
	for _, rows := range [][][]string{{{"ratings-vm-1", "True", "2m"}, {"db", "False", "10d"}}, {{"legacy-db", "Unknown", "3s"}}} {
		if err := table.Write(rows...); err != nil {
			t.Fatal(err)
		}
	}
	const want = "" +
		"NAME          READY  AGE\n" +
		"ratings-vm-1  True   2m\n" +
		"db            False  10d\n" +
		"legacy-db     Unknown  3s\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// Without its colours, a coloured table is the plain one: nothing is said by colour alone.
func TestColourOnlyRepeats(t *testing.T) {
	rows := [][]string{{"a", "True"}, {"b", "False"}, {"c", "Unknown"}, {"d", "Ready"}, {"e", "True story"}}
	var plain, coloured bytes.Buffer
	if err := New(&plain, false, "Name", "Ready").Write(rows...); err != nil {
		t.Fatal(err)
	}
	if err := New(&coloured, true, "Name", "Ready").Write(rows...); err != nil {
		t.Fatal(err)
	}
	stripped := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(coloured.String())
	if stripped != plain.String() || coloured.String() == plain.String() {
		t.Errorf("got %q and %q", coloured.String(), plain.String())
	}
}

func TestColouredNeedsATerminal(t *testing.T) {
	if Coloured(&bytes.Buffer{}, func(string) string { return "" }) {
		t.Error("a buffer counts as a terminal")
	}
}
