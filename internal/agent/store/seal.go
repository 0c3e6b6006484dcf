package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// format is the number of the form that files are written in. An agent reads its own and those before: 0 is that of files without a seal,
// which agents wrote before there was one.
const format = 1

// mark begins the first line of each file, which is its seal: mark, format, space, lower-case hex SHA-256 of format and content. What follows is
// the content. PEM allows text before its blocks (RFC 7468, section 2), so that other programs still read keys and certificates.
const mark = "hawser-agent state "

// digits of the hash.
const digits = 2 * sha256.Size

// Reasons that a file is of no use.
var (
	errChanged = errors.New("its content is not what was written")
	errNewer   = errors.New("a newer agent wrote it")
)

// seal puts the first line before content.
func seal(content []byte) []byte {
	return append(fmt.Appendf(nil, "%s%d %s\n", mark, format, sum(format, content)), content...)
}

// unseal returns the content of a file, and whether a seal vouches for it; a file that has none may be of an older agent, or damaged: its reader
// has to find out.
func unseal(file []byte) (content []byte, sealed bool, err error) {
	if !bytes.HasPrefix(file, []byte(mark)) {
		return file, false, nil
	}
	line, content, ended := bytes.Cut(file[len(mark):], []byte("\n"))
	number, hash, _ := strings.Cut(string(line), " ")
	written, err := strconv.Atoi(number)
	switch {
	case !ended || err != nil || written < 1:
		return nil, false, errChanged
	case written > format:
		return nil, false, fmt.Errorf("%w, in format %d, and this one reads up to %d", errNewer, written, format)
	case len(hash) != digits || hash != sum(written, content):
		return nil, false, errChanged
	}
	return content, true, nil
}

func sum(format int, content []byte) string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%d\n", format)
	hash.Write(content)
	return hex.EncodeToString(hash.Sum(nil))
}
