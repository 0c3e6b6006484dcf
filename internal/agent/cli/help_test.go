package cli

import (
	"bytes"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/golden"
)

// guide explains the commands, their exit codes and the fields of -o json.
const guide = "../../../docs/guide/agent.md"

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	for _, command := range []string{"", "join", "leave", "status", "run", "version"} {
		arguments := []string{"--help"}
		if command != "" {
			arguments = []string{command, "--help"}
		}
		out.WriteString("$ hawser-agent " + strings.Join(arguments, " ") + "\n")
		program := &Program{Stdout: &out, Stderr: &out}
		if code := program.Run(t.Context(), arguments); code != codeDone {
			t.Errorf("%q: exit code %d", arguments, code)
		}
		out.WriteString("\n")
	}
	for line := range strings.Lines(out.String()) {
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > width {
			t.Errorf("longer than %d columns: %s", width, line)
		}
	}
	golden.Check(t, "help.txt", out.String())
}

// explained are the exit codes and the fields, in backticks, that have a row in the guide.
func explained(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	var cells []string
	for _, found := range regexp.MustCompile("(?m)^\\| (?:([0-9])|`([a-zA-Z.\\[\\]]+)`) \\|").FindAllStringSubmatch(string(text), -1) {
		cells = append(cells, found[1]+found[2])
	}
	return cells
}

// The guide has every exit code and every field, and no other: scripts rely on them.
func TestGuideExplainsWhatScriptsReadOff(t *testing.T) {
	want := fields("", reflect.TypeFor[local.Status]())
	for _, found := range regexp.MustCompile(`(?m)^  ([0-9])  `).FindAllStringSubmatch(long, -1) {
		want = append(want, found[1])
	}
	have := explained(t)
	for _, name := range want {
		if !slices.Contains(have, name) {
			t.Errorf("docs/guide/agent.md has no row for %s", name)
		}
	}
	for _, name := range have {
		if !slices.Contains(want, name) {
			t.Errorf("docs/guide/agent.md has a row for %s, which there is not", name)
		}
	}
}

// fields are the paths of all leaves of a type's JSON form.
func fields(path string, of reflect.Type) []string {
	switch {
	case of.Kind() == reflect.Slice:
		return fields(path+"[]", of.Elem())
	case of.Kind() != reflect.Struct || of == reflect.TypeFor[time.Time]():
		return []string{strings.TrimPrefix(path, ".")}
	}
	var list []string
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		list = append(list, fields(path+"."+name, of.Field(i).Type)...)
	}
	return list
}
