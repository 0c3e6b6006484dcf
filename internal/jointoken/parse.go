package jointoken

import (
	"errors"
	"strings"

	"github.com/hawser-io/hawser/internal/identity"
)

// Errors of Parse. None holds any of the text.
var (
	// ErrMalformed: the text is something else.
	ErrMalformed = errors.New("this is not a join token: one begins with hawser_ and is a single word")
	// ErrTruncated: the beginning of a token.
	ErrTruncated = errors.New("the join token is cut off at its end: copy all of it, it is a single word")
	// ErrDamaged: a token with a wrong, missing or added character.
	ErrDamaged = errors.New("the join token does not agree with its own checksum: a character was lost or changed when it was copied")
)

// Lengths in characters of the parts after the ID.
const (
	secretLength = 32
	pinLength    = 52
	checkLength  = 7
)

// Parse reads a token's text; white space around it does not matter. The error is ErrMalformed, ErrTruncated or ErrDamaged. That a
// token can be parsed does not mean that it was ever valid.
func Parse(text string) (Token, error) {
	text = strings.TrimSpace(text)
	parts := strings.Split(text, "_")
	if parts[0] != prefix || len(parts) > 5 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Token{}, ErrMalformed
	}
	if len(parts) < 5 || len(parts[4]) < checkLength {
		return Token{}, ErrTruncated
	}
	if check(strings.TrimSuffix(text, "_"+parts[4])) != parts[4] {
		return Token{}, ErrDamaged
	}
	return assemble(parts)
}

// assemble takes parts whose checksum is right: what is wrong now was made so.
func assemble(parts []string) (Token, error) {
	var t Token
	namespace, name, dotted := strings.Cut(parts[1], ".")
	t.Namespace, t.Name = namespace, name
	if !dotted || !named(namespace) || !named(name) || strings.Contains(namespace, ".") ||
		!decode(t.secret[:], parts[2], secretLength) || !decodePin(&t.Pin, parts[3]) {
		return Token{}, ErrMalformed
	}
	return t, nil
}

func decodePin(pin *identity.Pin, text string) bool { return decode(pin[:], text, pinLength) }

// decode accepts the one canonical text of a value.
func decode(into []byte, text string, length int) bool {
	if len(text) != length {
		return false
	}
	raw, err := encoding().DecodeString(strings.ToUpper(text))
	return err == nil && copy(into, raw) == len(into) && encode(into) == text
}

// named reports whether the name can be a Kubernetes object's, so that it is safe in a request's path. The API server knows the rest.
func named(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return name[0] != '.' && name[len(name)-1] != '.' && !strings.Contains(name, "..")
}
