package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// indent of a row's text: a mark and the longest name before it.
const indent = 18

func writeRow(out *strings.Builder, r row, coloured bool) {
	if r.name == "" {
		out.WriteByte('\n')
		return
	}
	sign := r.mark.sign()
	if coloured && r.mark.colour() != "" {
		sign = r.mark.colour() + sign + "\x1b[0m"
	}
	lines := wrap(r.text, width-indent)
	// The one name that is longer takes the first line for itself.
	if len(r.name) >= indent-4 {
		lines = append([]string{""}, lines...)
	}
	fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %s %-*s%s", sign, indent-4, r.name, lines[0]), " "))
	for _, line := range lines[1:] {
		fmt.Fprintf(out, "%*s%s\n", indent, "", line)
	}
}

// wrap breaks text into lines of at most columns runes where there are blanks. It returns at least one line.
func wrap(text string, columns int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > columns {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// age writes a duration with its two largest units, as kubectl does.
func age(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 10*time.Minute:
		return two(int(d.Minutes()), "m", int(d.Seconds())%60, "s")
	case d < 3*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 8*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "m")
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	case d < 8*24*time.Hour:
		return two(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
	default:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
}

func two(large int, largeUnit string, small int, smallUnit string) string {
	if small == 0 {
		return fmt.Sprintf("%d%s", large, largeUnit)
	}
	return fmt.Sprintf("%d%s%d%s", large, largeUnit, small, smallUnit)
}
