package jointoken

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"strings"

	"github.com/hawser-io/hawser/internal/identity"
)

// secretSize in bytes: 160 bits fill 32 characters of base32.
const secretSize = 20

// prefix makes a token known to people and to scanners for leaked secrets.
const prefix = "hawser"

// Token is a join token. Its text is
//
//	hawser_<namespace>.<name>_<secret>_<pin>_<check>
//
// with secret, pin and check in lower-case base32 without padding, 32, 52 and 7 characters; check is the CRC-32 of all that precedes it.
type Token struct {
	// Namespace and Name of the JoinToken object.
	Namespace, Name string
	// Pin of the manager's CA.
	Pin    identity.Pin
	secret [secretSize]byte
}

// New makes a token with a fresh secret and a fresh name of ten letters and digits, the first one a letter.
func New(namespace string, pin identity.Pin) Token {
	t := Token{Namespace: namespace, Name: newName(), Pin: pin}
	fill(t.secret[:])
	return t
}

// ID is "namespace.name", the public part of the token.
func (t Token) ID() string { return t.Namespace + "." + t.Name }

// Hash is what the JoinToken object keeps of the secret: the lower-case hex SHA-256 of its text.
func (t Token) Hash() string {
	sum := sha256.Sum256([]byte(encode(t.secret[:])))
	return hex.EncodeToString(sum[:])
}

// Matches reports whether the secret is the one that hash was made of, in constant time.
func (t Token) Matches(hash string) bool {
	return subtle.ConstantTimeCompare([]byte(t.Hash()), []byte(hash)) == 1
}

// Reveal returns the whole text. It is the only way to the secret.
func (t Token) Reveal() string {
	text := strings.Join([]string{prefix, t.ID(), encode(t.secret[:]), encode(t.Pin[:])}, "_")
	return text + "_" + check(text)
}

// String names the token without its secret.
func (t Token) String() string { return prefix + "_" + t.ID() + "_[secret]" }

// Format keeps the secret out of every verb of fmt.
func (t Token) Format(state fmt.State, _ rune) {
	// The error is fmt's own to deal with, which looks at its buffer alone.
	_, _ = io.WriteString(state, t.String())
}

// LogValue keeps the secret out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText keeps the secret out of JSON and YAML.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

func newName() string {
	const letters, characters = "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789"
	name := make([]byte, 0, 10)
	for len(name) < cap(name) {
		set := characters
		if len(name) == 0 {
			set = letters
		}
		var random [1]byte
		fill(random[:])
		// Values beyond the last whole multiple would make some characters likelier.
		if limit := 256 - 256%len(set); int(random[0]) < limit {
			name = append(name, set[int(random[0])%len(set)])
		}
	}
	return string(name)
}

// fill never fails: crypto/rand ends the process rather than give weak bytes (Go 1.24).
func fill(random []byte) { _, _ = rand.Read(random) }

func encode(raw []byte) string { return strings.ToLower(encoding().EncodeToString(raw)) }

func encoding() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }

func check(text string) string {
	return encode(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}
