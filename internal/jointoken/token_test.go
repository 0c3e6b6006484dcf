package jointoken

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/identity"
)

func example() Token {
	t := Token{Namespace: "shop", Name: "k3j9x0q2ab"}
	for i := range t.secret {
		t.secret[i] = byte(i)
	}
	for i := range t.Pin {
		t.Pin[i] = byte(255 - i)
	}
	return t
}

// The text is a promise to tokens that are on paper already.
const text = "hawser_shop.k3j9x0q2ab_aaaqeayeaudaocajbifqydiob4ibceqt_777p37h37l47r57w6x2ph4xr6dx653pm5pvot2hh43s6jy7c4hqa_7y3dygq"

func TestTextIsStable(t *testing.T) {
	got := example().Reveal()
	if got != text {
		t.Errorf("Reveal = %s", got)
	}
	const hash = 64
	if h := example().Hash(); len(h) != hash || !example().Matches(h) {
		t.Errorf("Hash = %s", h)
	}
}

func TestParseIsTheInverseOfReveal(t *testing.T) {
	for range 100 {
		made := New("shop", identity.Pin{1, 2, 3})
		back, err := Parse("\t" + made.Reveal() + "\r\n")
		if err != nil || back != made {
			t.Fatalf("Parse(%s) = %v, %v", made.Reveal(), back, err)
		}
		if !regexp.MustCompile(`^[a-z][a-z0-9]{9}$`).MatchString(made.Name) {
			t.Fatalf("name %q", made.Name)
		}
	}
}

func TestEveryTruncationIsTold(t *testing.T) {
	whole := example().Reveal()
	for n := len("hawser_"); n < len(whole); n++ {
		if _, err := Parse(whole[:n]); !errors.Is(err, ErrTruncated) {
			t.Errorf("Parse of %d of %d characters: %v, want ErrTruncated", n, len(whole), err)
		}
	}
}

func TestEveryTypoIsTold(t *testing.T) {
	whole := example().Reveal()
	for i := len("hawser_"); i < len(whole); i++ {
		if whole[i] == '_' {
			continue
		}
		damaged := whole[:i] + "z" + whole[i+1:]
		if whole[i] == 'z' {
			damaged = whole[:i] + "y" + whole[i+1:]
		}
		if _, err := Parse(damaged); !errors.Is(err, ErrDamaged) {
			t.Errorf("Parse with character %d changed: %v, want ErrDamaged", i, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	sign := func(body string) string { return body + "_" + check(body) }
	e := example()
	secret, pin := encode(e.secret[:]), encode(e.Pin[:])
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":           {"", ErrMalformed},
		"word":            {"swordfish", ErrMalformed},
		"other-scanner":   {"ghp_abcdef", ErrMalformed},
		"two-words":       {e.Reveal() + " " + e.Reveal(), ErrMalformed},
		"more-parts":      {e.Reveal() + "_x", ErrMalformed},
		"longer":          {e.Reveal() + "a", ErrDamaged},
		"upper":           {strings.ToUpper(e.Reveal()), ErrMalformed},
		"no-namespace":    {sign("hawser_token_" + secret + "_" + pin), ErrMalformed},
		"empty-namespace": {sign("hawser_.token_" + secret + "_" + pin), ErrMalformed},
		"path":            {sign("hawser_shop.../x_" + secret + "_" + pin), ErrMalformed},
		"short-secret":    {sign("hawser_shop.t_" + secret[1:] + "_" + pin), ErrMalformed},
		"short-pin":       {sign("hawser_shop.t_" + secret + "_" + pin[1:]), ErrMalformed},
		"loose-bits":      {sign("hawser_shop.t_" + secret + "_" + pin[:51] + "b"), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Parse(c.text); !errors.Is(err, c.want) {
				t.Errorf("Parse(%q) = %v, %v; want %v", c.text, got, err, c.want)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	forged := example()
	forged.secret[0]++
	if forged.Matches(example().Hash()) || forged.Matches("") {
		t.Error("a forged secret matches")
	}
}

func TestNothingPrintsTheSecret(t *testing.T) {
	token := example()
	secret := encode(token.secret[:])
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
		fmt.Fprintf(&out, verb+"\n", token)
		fmt.Fprintf(&out, verb+"\n", &token)
		fmt.Fprintf(&out, verb+"\n", struct{ T Token }{token})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("token", "token", token, "in", struct{ T Token }{token})
	slog.New(slog.NewTextHandler(&out, nil)).Info("token", "token", &token)
	if err := json.NewEncoder(&out).Encode(map[string]any{"t": token, "p": &token}); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{secret, "0 1 2 3", "00010203", "0x1, 0x2", encode(token.secret[:10])} {
		if strings.Contains(strings.ToLower(out.String()), leak) {
			t.Errorf("%q leaks in:\n%s", leak, out.String())
		}
	}
}
