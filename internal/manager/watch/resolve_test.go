package watch

import (
	"strings"
	"testing"
	"time"
)

func TestWhatANameResolvesTo(t *testing.T) {
	began := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		// answers by the second that they come at: "0:a,b 2:b".
		answers, want string
	}{
		"nothing-yet":                   {"0:", ""},
		"first":                         {"0:b,a", "a b"},
		"the-same":                      {"0:a 2:a", "a"},
		"moved":                         {"0:a 2:b", "b"},
		"no-answer-keeps":               {"0:a 2: 400:", "a"},
		"one-more":                      {"0:a 2:a,b", "a b"},
		"others-of-many":                {"0:a,b 2:b,c 4:c,a", "a b c"},
		"one-less-stays-for-a-while":    {"0:a,b 2:b 59:b", "a b"},
		"one-less-goes":                 {"0:a,b 2:b 60:b", "b"},
		"moved-after-a-silence":         {"0:a,b 2: 90:c", "c"},
		"a-silence-is-no-reason-to-go":  {"0:a,b 90: 91:a", "a"},
		"moved-with-both-for-a-moment":  {"0:a 2:a,b 4:b 70:b", "b"},
		"moved-there-and-back-at-once":  {"0:a 2:b 4:a", "a"},
		"moved-with-nothing-in-between": {"0:a 2: 4:b", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			var r record
			for answer := range strings.FieldsSeq(c.answers) {
				at, addresses, _ := strings.Cut(answer, ":")
				after, err := time.ParseDuration(at + "s")
				if err != nil {
					t.Fatal(err)
				}
				r = r.answered(strings.FieldsFunc(addresses, func(r rune) bool { return r == ',' }), began.Add(after))
			}
			if got := strings.Join(records{"gw": r}.addresses()["gw"], " "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
