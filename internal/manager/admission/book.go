package admission

import (
	"maps"
	"slices"

	"github.com/hawser-io/hawser/internal/identity"
)

// maxTerms bounds the book. What was stamped in a term that has been dropped counts as noted. Machines that a restore has forgotten come back within
// the life of their certificates, which is long before so many managers have started and admitted somebody.
const maxTerms = 1000

// book is what the cluster's state knows of admissions. It is a value: changing it makes another one.
type book struct {
	// name tells this book from one that took its place.
	name  string
	terms map[string]term
}

// term is one manager process's part of the book.
type term struct {
	// place in the order of terms, from 1.
	place int
	// last is the highest number that was given in it.
	last int64
	// returned are higher ones, which a restore had forgotten, of machines that were taken back. Sorted.
	returned []int64
}

// forgot reports whether a stamp proves that the cluster's state has been put back to one before the stamp was made.
func (b book) forgot(stamp identity.Stamp) bool {
	if stamp.IsZero() || b.name == "" || stamp.Book != b.name {
		return false
	}
	t, ok := b.terms[stamp.Term]
	if !ok {
		return stamp.Place >= b.first()
	}
	_, returned := slices.BinarySearch(t.returned, stamp.Number)
	return stamp.Number > t.last && !returned
}

// give notes the next admission of a term, at a time in milliseconds, and returns the stamp of it. A term that is not in the book is begun.
func (b book) give(name string, now int64) (book, identity.Stamp) {
	b = b.clone()
	t, ok := b.terms[name]
	if !ok {
		t.place = b.next()
	}
	t.last = max(now, t.last+1)
	b.terms[name] = t
	return b.pruned(), identity.Stamp{Book: b.name, Term: name, Place: t.place, Number: t.last}
}

// took notes that the machine with a stamp that was forgotten is there again.
func (b book) took(stamp identity.Stamp) book {
	b = b.clone()
	t, ok := b.terms[stamp.Term]
	if !ok {
		t.place = stamp.Place
	}
	if at, found := slices.BinarySearch(t.returned, stamp.Number); !found {
		t.returned = slices.Insert(slices.Clone(t.returned), at, stamp.Number)
	}
	b.terms[stamp.Term] = t
	return b.pruned()
}

// first and next are the places of the oldest term, and of one that would be begun now. Terms that a restore has forgotten may share places with later
// ones: places bound the book, and names tell terms apart.
func (b book) first() int {
	first := 1
	for i, t := range slices.Collect(maps.Values(b.terms)) {
		if i == 0 || t.place < first {
			first = t.place
		}
	}
	return first
}

func (b book) next() int {
	next := 1
	for _, t := range b.terms {
		next = max(next, t.place+1)
	}
	return next
}

// pruned is the book without its oldest terms, if there are too many.
func (b book) pruned() book {
	for len(b.terms) > maxTerms {
		first := b.first()
		maps.DeleteFunc(b.terms, func(_ string, t term) bool { return t.place == first })
	}
	return b
}

func (b book) clone() book {
	terms := map[string]term{}
	maps.Copy(terms, b.terms)
	return book{name: b.name, terms: terms}
}
