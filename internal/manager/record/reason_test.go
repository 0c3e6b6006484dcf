package record

import (
	"regexp"
	"strings"
	"testing"
)

func TestReasonTextIsTheAPIsPattern(t *testing.T) {
	pattern := regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)
	for _, text := range []string{"", "A", "z", "1", "_", "Fine", "A1", "A_", "A,", "A:", "A,b", "A:b", "a b", "é", "Aé", "A\n", ",A", "no reason at all", strings.Repeat("x", maxText)} {
		want := text
		if !pattern.MatchString(text) {
			want = "Unspecified"
		}
		if got := reasonText(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if got := reasonText(strings.Repeat("x", maxText+1)); got != "Unspecified" {
		t.Errorf("one that is too long became %q", got)
	}
}
