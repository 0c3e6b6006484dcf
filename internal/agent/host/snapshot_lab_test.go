//go:build lab

package host_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/plan"
)

// files is a text of the files that a join may change: mode, owner and content of each.
func files(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, root := range []string{"/etc", "/var/lib", "/usr/lib/systemd", "/usr/lib/sysusers.d", "/opt", "/srv", plan.RunProxyDirectory} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if slices.Contains([]string{"/var/lib/apt", "/var/lib/systemd", "/var/lib/dpkg"}, path) {
				return filepath.SkipDir
			}
			line, err := describe(path, entry)
			text.WriteString(line)
			return err
		})
		if err != nil && root != plan.RunProxyDirectory {
			t.Fatal(err)
		}
	}
	return text.String()
}

func describe(path string, entry fs.DirEntry) (string, error) {
	info, err := entry.Info()
	if err != nil {
		return "", err
	}
	owner := info.Sys().(*syscall.Stat_t)
	content := ""
	switch {
	case info.Mode().IsRegular():
		bytes, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		content = fmt.Sprintf("%x", sha256.Sum256(bytes))
	case info.Mode()&fs.ModeSymlink != 0:
		if content, err = os.Readlink(path); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s %v %d:%d %s\n", path, info.Mode(), owner.Uid, owner.Gid, content), nil
}

// state is a text of all that a join may change.
func (m machine) state() string {
	return files(m.T) + m.shell(`
nft -s list ruleset
ip -o link | awk '{print $2}' | sed 's/@.*//'
systemctl list-units --all --no-legend --plain 'hawser-*'
grep -v '^#' /etc/resolv.conf
getent passwd | sort; getent group | sort`)
}

// rules is a text of all packet filters: those of each flavour of iptables without their empty tables, which the programs make
// when they are asked, and those of nftables with the numbers of the rules, by which a rule that was made again shows.
func (m machine) rules() string {
	return m.shell(`
for table in $(nft list tables | awk '$2 != "ip" && $2 != "ip6" {print $2 "/" $3}'); do nft -s -a list table ${table%/*} ${table#*/}; done
for program in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
	$program-save 2>/dev/null | awk -v p=$program '/^\*/ {table = $1} /^-A/ || /^:.* - / {sub(/ \[.*/, ""); print p, table, $0}'
done`)
}

// added returns the lines of after that before does not have, or not as often.
func added(before, after string) string {
	count := map[string]int{}
	for line := range strings.SplitSeq(before, "\n") {
		count[line]++
	}
	var lines []string
	for line := range strings.SplitSeq(after, "\n") {
		if count[line]--; count[line] < 0 {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func difference(before, after string) string {
	var text strings.Builder
	old, now := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, line := range old {
		if !slices.Contains(now, line) {
			text.WriteString("- " + line + "\n")
		}
	}
	for _, line := range now {
		if !slices.Contains(old, line) {
			text.WriteString("+ " + line + "\n")
		}
	}
	return text.String()
}
