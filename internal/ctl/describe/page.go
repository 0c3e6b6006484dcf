package describe

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/hawser-io/hawser/internal/ctl/table"
)

// width of a page, in columns.
const width = 80

// page gathers lines; fields within a section are indented.
type page struct {
	text   strings.Builder
	indent string
	colour bool
	// title of a section that has had no line yet.
	title string
}

func (p *page) String() string { return p.text.String() }

func (p *page) line(format string, args ...any) {
	if p.title != "" {
		fmt.Fprintf(&p.text, "\n%s:\n", p.title)
		p.title = ""
	}
	fmt.Fprintf(&p.text, format+"\n", args...)
}

// section begins one; its title is written with the first line in it.
func (p *page) section(name string) { p.title, p.indent = name, "  " }

// field writes a value beside its name, and nothing for an empty value.
func (p *page) field(name, value string) {
	if value == "" {
		return
	}
	head := fmt.Sprintf("%s%-*s", p.indent, 15-len(p.indent), name+":")
	p.line("%s", head+strings.TrimLeft(wrap(value, width-len(head), strings.Repeat(" ", len(head))), " "))
}

// state is a field whose value up to the first comma may be coloured.
func (p *page) state(name, value string) {
	if p.colour {
		first, rest, more := strings.Cut(value, ",")
		value = table.Colour(first)
		if more {
			value += "," + rest
		}
	}
	p.field(name, value)
}

func (p *page) wrapped(indent, text string) {
	p.line("%s", wrap(text, width-len(indent), indent))
}

// wrap breaks text between words into lines of at most columns, each with the indent before it. A longer word stays whole.
func wrap(text string, columns int, indent string) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) > columns:
			lines, line = append(lines, indent+line), word
		default:
			line += " " + word
		}
	}
	return strings.Join(append(lines, indent+line), "\n")
}

func joined(separator string, parts ...string) string {
	var present []string
	for _, part := range parts {
		if part != "" {
			present = append(present, part)
		}
	}
	return strings.Join(present, separator)
}

// short shows enough of a hash to tell it from others.
func short(hash string) string {
	algorithm, digest, found := strings.Cut(hash, ":")
	if !found {
		algorithm, digest = "", hash
	}
	if len(digest) > 12 {
		digest = digest[:12]
	}
	return strings.TrimPrefix(algorithm+":"+digest, ":")
}

func age(d time.Duration) string { return duration.HumanDuration(max(d, 0)) }

// ago reads "5m ago (2026-08-27 10:00:00 UTC)".
func (d Machine) ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return age(d.Now.Sub(t)) + " ago (" + stamp(t) + ")"
}

func (d Machine) until(t *metav1.Time) string {
	switch {
	case t == nil || t.IsZero():
		return "unknown"
	case t.Time.Before(d.Now):
		return "expired " + d.ago(t.Time)
	}
	return "expires in " + age(t.Sub(d.Now)) + " (" + stamp(t.Time) + ")"
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
