package metrics

import (
	"strconv"
	"strings"
	"time"
)

// The types of metrics that are used here.
const (
	counter = "counter"
	gauge   = "gauge"
)

// text is a page in the making.
type text struct{ strings.Builder }

// family begins the samples of one name. The help is written without escapes, so it must have neither line breaks nor backslashes.
func (t *text) family(name, kind, help string) func(value float64, labels ...string) {
	t.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
	return func(value float64, labels ...string) { t.sample(name, value, labels) }
}

// sample writes a line; labels are names and values by turns.
func (t *text) sample(name string, value float64, labels []string) {
	t.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		t.WriteByte(separator)
		t.WriteString(labels[i] + `="` + escape(labels[i+1]) + `"`)
	}
	if len(labels) > 0 {
		t.WriteByte('}')
	}
	t.WriteString(" " + strconv.FormatFloat(value, 'f', -1, 64) + "\n")
}

// escape makes a label's value fit to stand in quotes.
func escape(value string) string {
	value = strings.ToValidUTF8(value, "\uFFFD")
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(value)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
