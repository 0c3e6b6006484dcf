package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// A block is what Hawser adds to a file of the host's. The first marker says whether a newline was added before it, since the
// file did not end in one: taking the block away gives the file back byte for byte, whatever else was edited meanwhile.
const (
	blockBegin        = "# Hawser: begin"
	blockBeginNewline = "# Hawser: begin, after a newline of its own"
	blockEnd          = "# Hawser: end"
)

// WithBlock returns the content with a block of these lines at its end, instead of the block that it has; no lines: no block.
func WithBlock(content []byte, lines []string) []byte {
	content = WithoutBlock(content)
	if len(lines) == 0 {
		return content
	}
	text := bytes.NewBuffer(slices.Clone(content))
	begin := blockBegin
	if len(content) > 0 && content[len(content)-1] != '\n' {
		text.WriteByte('\n')
		begin = blockBeginNewline
	}
	fmt.Fprintf(text, "%s\n%s\n%s\n", begin, strings.Join(lines, "\n"), blockEnd)
	return text.Bytes()
}

// WithoutBlock returns the content as it is without Hawser. A block whose end is missing is left alone: what follows its
// beginning may be somebody else's.
func WithoutBlock(content []byte) []byte {
	begin, ownNewline := findLine(content, blockBegin), false
	if begin < 0 {
		begin, ownNewline = findLine(content, blockBeginNewline), true
	}
	if begin < 0 {
		return content
	}
	end := findLine(content[begin:], blockEnd)
	if end < 0 {
		return content
	}
	after := content[min(begin+end+len(blockEnd)+1, len(content)):]
	// With lines after the block the newline before it is needed by them.
	if ownNewline && begin > 0 && len(after) == 0 {
		begin--
	}
	return append(slices.Clone(content[:begin]), after...)
}

// holdsBlock reports whether a content has its one block of these lines, and nothing that overrules it: others may add lines behind it,
// but the last search or domain line of a resolv.conf(5) counts.
func holdsBlock(content []byte, lines []string) bool {
	without := WithoutBlock(content)
	if len(lines) == 0 || findLine(without, blockBegin) >= 0 || findLine(without, blockBeginNewline) >= 0 {
		return false
	}
	if string(block(content)) != strings.Join(lines, "\n")+"\n" {
		return false
	}
	behind := content[bytes.LastIndex(content, []byte(blockEnd)):]
	return len(searchDomains(behind)) == 0
}

// block is what of a file's content is Hawser's, without its markers.
func block(content []byte) []byte {
	for _, marker := range []string{blockBegin, blockBeginNewline} {
		if begin := findLine(content, marker); begin >= 0 {
			_, lines, _ := bytes.Cut(content[begin:], []byte("\n"))
			if end := findLine(lines, blockEnd); end >= 0 {
				return lines[:end]
			}
		}
	}
	return nil
}

// findLine returns where a line of exactly this text begins, -1 if there is none.
func findLine(content []byte, text string) int {
	at := 0
	for line := range bytes.Lines(content) {
		if string(bytes.TrimSuffix(line, []byte("\n"))) == text {
			return at
		}
		at += len(line)
	}
	return -1
}
