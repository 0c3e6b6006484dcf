// Package glibc finds out which version of the GNU C library a host has. In comes the root of the host's files, out comes a
// version. It runs nothing: the library says so itself, in its banner.
package glibc

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Version returns "2.36", empty if there is no GNU C library where dynamic loaders look for one.
func Version(root string) string {
	banner := regexp.MustCompile(`GNU C Library [^\n]*release version (\d+\.\d+)`)
	for _, pattern := range []string{
		"lib/*-linux-gnu/libc.so.6", "usr/lib/*-linux-gnu/libc.so.6", "lib64/libc.so.6", "usr/lib64/libc.so.6", "lib/libc.so.6", "usr/lib/libc.so.6",
	} {
		files, _ := filepath.Glob(filepath.Join("/", root, pattern))
		for _, file := range files {
			if match := banner.FindSubmatch(readBanner(file)); match != nil {
				return string(match[1])
			}
		}
	}
	return ""
}

// readBanner returns the part of a library that begins with its banner. A library is two megabytes: it is read once, when a
// machine joins, and not kept.
func readBanner(file string) []byte {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	_, after, found := bytes.Cut(content, []byte("GNU C Library "))
	if !found {
		return nil
	}
	return append([]byte("GNU C Library "), after[:min(len(after), 200)]...)
}

// Older compares dotted versions by number. A host without a version is older than any.
func Older(have, need string) bool {
	for need != "" {
		var h, n string
		h, have, _ = strings.Cut(have, ".")
		n, need, _ = strings.Cut(need, ".")
		haves, _ := strconv.Atoi(h)
		needs, _ := strconv.Atoi(n)
		if haves != needs {
			return haves < needs
		}
	}
	return false
}
