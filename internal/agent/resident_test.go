package agent

import (
	"slices"
	"strings"
	"testing"
)

func TestConstantAreas(t *testing.T) {
	const maps = `00400000-0088b000 r-xp 00000000 00:30 1015840                            /usr/bin/hawser-agent
0088b000-00d82000 r--p 0048b000 00:30 1015840                            /usr/bin/hawser-agent
00d82000-00dea000 rw-p 00982000 00:30 1015840                            /usr/bin/hawser-agent
00dea000-00e2e000 rw-p 00000000 00:00 0 
7f1200000000-7f1200021000 r--p 00000000 00:30 77                         /usr/lib/locale/a file
c000000000-c000400000 rw-p 00000000 00:00 0                              [anon: Go: heap]
`
	got, err := constantAreas(strings.NewReader(maps), "/usr/bin/hawser-agent")
	if err != nil || !slices.Equal(got, []area{{0x400000, 0x88b000}, {0x88b000, 0xd82000}}) {
		t.Errorf("got %x, %v", got, err)
	}
	if got, err := constantAreas(strings.NewReader(maps), "/usr/lib/locale/a file"); err != nil || len(got) != 1 {
		t.Errorf("got %x, %v", got, err)
	}
}

// The program goes on after it was forgotten.
func TestForgetProgram(t *testing.T) {
	if err := forgetProgram(); err != nil {
		t.Error(err)
	}
}
