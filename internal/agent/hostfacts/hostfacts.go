// Package hostfacts observes what the manager wants to know of a host: its name, system, libraries and addresses. Facts only:
// whether a host is fit is decided elsewhere. What cannot be found out is left empty.
package hostfacts

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/address"
	"github.com/hawser-io/hawser/internal/agent/host/glibc"
	"github.com/hawser-io/hawser/internal/version"
)

// Observe returns the host's facts at this moment, beside an error those that could be found out. manager (HOST:PORT) decides which
// address comes first.
func Observe(ctx context.Context, manager string) (*hawserv1.HostFacts, error) {
	addresses, err := address.NewLister(manager).List(ctx)
	hostname, kernel := uname()
	return &hawserv1.HostFacts{
		Hostname:        hostname,
		MachineId:       firstLine("/etc/machine-id"),
		Architecture:    runtime.GOARCH,
		OperatingSystem: operatingSystem("/"),
		KernelVersion:   kernel,
		GlibcVersion:    glibc.Version(""),
		AgentVersion:    version.Get().Version,
		Addresses:       addresses,
		UnixTime:        time.Now().Unix(),
		BootId:          firstLine("/proc/sys/kernel/random/boot_id"),
	}, err
}

func uname() (hostname, kernel string) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", ""
	}
	return unix.ByteSliceToString(name.Nodename[:]), unix.ByteSliceToString(name.Release[:])
}

func firstLine(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(content), "\n")
	return strings.TrimSpace(line)
}

// operatingSystem returns PRETTY_NAME of os-release(5) below root.
func operatingSystem(root string) string {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
			if value, ok := strings.CutPrefix(lines.Text(), "PRETTY_NAME="); ok {
				return unquoted(value)
			}
		}
	}
	return ""
}

func unquoted(value string) string {
	if plain, err := strconv.Unquote(value); err == nil {
		return plain
	}
	return strings.Trim(value, `'"`)
}
