package identity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Admission is what a machine's certificate says of how the machine came in, signed by the manager's CA. It stands in the certificate's
// subject, in attributes that X.520 has for it: the organizational unit is the group, and the serial number, which is the subject's own and not
// the certificate's, is the stamp. A certificate of an older manager has neither.
type Admission struct {
	// Group is the WorkloadGroup, in the machine's namespace, that the machine was admitted to.
	Group string
	Stamp Stamp
}

// Stamp tells an admission from all others. Package admission makes stamps, and notes in the cluster's state which it has made: a stamp that is not
// noted was made in a state that a restore has undone.
type Stamp struct {
	// Book that it is noted in: eight bytes in hex. A cluster that loses its book begins another one.
	Book string
	// Term of the manager that made it, eight bytes in hex, and the term's place in the book's order, from 1.
	Term  string
	Place int
	// Number is the time of the admission in milliseconds since 1970. A term gives each number once, and the later the higher.
	Number int64
}

// IsZero reports whether there is none.
func (s Stamp) IsZero() bool { return s == Stamp{} }

// Time of the admission.
func (s Stamp) Time() time.Time { return time.UnixMilli(s.Number) }

// String is "book.place.term.number", or empty if there is none.
func (s Stamp) String() string {
	if s.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s.%d.%s.%d", s.Book, s.Place, s.Term, s.Number)
}

// ParseStamp is the inverse of Stamp.String. It accepts the canonical form alone.
func ParseStamp(text string) (Stamp, error) {
	parts := strings.Split(text, ".")
	if len(parts) == 4 {
		place, placed := strconv.Atoi(parts[1])
		number, numbered := strconv.ParseInt(parts[3], 10, 64)
		s := Stamp{Book: parts[0], Place: place, Term: parts[2], Number: number}
		if placed == nil && numbered == nil && place > 0 && number > 0 && short(s.Book) && short(s.Term) && s.String() == text {
			return s, nil
		}
	}
	return Stamp{}, fmt.Errorf("%.80q is not the stamp of an admission", text)
}

// Subject is the subject of the machine's certificate.
func (a Admission) Subject(machine Machine) pkix.Name {
	subject := pkix.Name{CommonName: machine.Name}
	if !a.Stamp.IsZero() {
		subject.OrganizationalUnit, subject.SerialNumber = []string{a.Group}, a.Stamp.String()
	}
	return subject
}

// AdmissionOf is the inverse of Admission.Subject: zero if the certificate has none, or none that can be read.
func AdmissionOf(certificate *x509.Certificate) Admission {
	subject := certificate.Subject
	stamp, err := ParseStamp(subject.SerialNumber)
	if err != nil || len(subject.OrganizationalUnit) != 1 || !subdomain(subject.OrganizationalUnit[0]) {
		return Admission{}
	}
	return Admission{Group: subject.OrganizationalUnit[0], Stamp: stamp}
}

// short is eight bytes in lower-case hex.
func short(text string) bool {
	return len(text) == 16 && strings.Trim(text, "0123456789abcdef") == ""
}
