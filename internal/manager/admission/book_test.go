package admission

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/internal/identity"
)

func TestForgot(t *testing.T) {
	b := book{name: "book", terms: map[string]term{
		"old": {place: 3, last: 100}, "open": {place: 4, last: 200, returned: []int64{210, 220}},
	}}
	stamp := func(term string, place int, number int64) identity.Stamp {
		return identity.Stamp{Book: "book", Term: term, Place: place, Number: number}
	}
	for name, c := range map[string]struct {
		book  book
		stamp identity.Stamp
		want  bool
	}{
		"noted":                        {b, stamp("open", 4, 200), false},
		"noted-before":                 {b, stamp("open", 4, 150), false},
		"after-the-last":               {b, stamp("open", 4, 201), true},
		"after-the-last-of-an-old-one": {b, stamp("old", 3, 101), true},
		"returned":                     {b, stamp("open", 4, 210), false},
		"between-returned-ones":        {b, stamp("open", 4, 215), true},
		"term-begun-since":             {b, stamp("gone", 5, 300), true},
		"term-of-the-same-place":       {b, stamp("gone", 4, 300), true},
		"term-dropped":                 {b, stamp("ancient", 2, 50), false},
		"no-stamp":                     {b, identity.Stamp{}, false},
		"another-book":                 {b, identity.Stamp{Book: "lost", Term: "open", Place: 4, Number: 999}, false},
		"no-book":                      {book{}, stamp("open", 4, 999), false},
		"book-of-nobody":               {book{name: "book"}, stamp("gone", 1, 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.book.forgot(c.stamp); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// What is given is noted, in order, whatever the clock does; an earlier state of the book has forgotten it.
func TestGive(t *testing.T) {
	b := book{name: "book"}
	last := int64(0)
	for i, now := range []int64{1000, 1000, 900, 2000} {
		after, stamp := b.give("mine", now)
		if !b.forgot(stamp) || after.forgot(stamp) || stamp.Number <= last || stamp.Place != 1 || stamp.Book != "book" {
			t.Errorf("%d: %v of %v, then %v", i, stamp, b, after)
		}
		b, last = after, stamp.Number
	}
	if _, stamp := b.give("other", 1); stamp.Place != 2 || stamp.Number != 1 {
		t.Errorf("another term's first is %v", stamp)
	}
}

func TestTook(t *testing.T) {
	b := book{name: "book", terms: map[string]term{"mine": {place: 1, last: 10}}}
	first, second := identity.Stamp{Book: "book", Term: "mine", Place: 1, Number: 12}, identity.Stamp{Book: "book", Term: "gone", Place: 2, Number: 5}
	after := b.took(first).took(second).took(first)
	if after.forgot(first) || after.forgot(second) || !b.forgot(first) || !b.forgot(second) {
		t.Errorf("%v, before %v", after, b)
	}
	// Others that the same restore has forgotten are so still.
	for _, other := range []identity.Stamp{{Book: "book", Term: "mine", Place: 1, Number: 11}, {Book: "book", Term: "gone", Place: 2, Number: 4}} {
		if !after.forgot(other) {
			t.Errorf("%v was taken along", other)
		}
	}
}

func TestBookIsBounded(t *testing.T) {
	b, stamps := book{name: "book"}, make([]identity.Stamp, maxTerms+2)
	for i := range stamps {
		b, stamps[i] = b.give(fmt.Sprintf("%016x", i), 1_785_578_400_000)
	}
	if len(b.terms) != maxTerms || b.first() != 3 {
		t.Errorf("%d terms from %d", len(b.terms), b.first())
	}
	for i, stamp := range stamps {
		if b.forgot(stamp) {
			t.Fatalf("stamp %d is forgotten as its term was dropped", i)
		}
	}
	page := newPage(b)
	size := 0
	for key, value := range page.Data {
		size += len(key) + len(value)
	}
	if size > 100_000 {
		t.Errorf("%d bytes", size)
	}
}

func TestBookIsReadAsItWasWritten(t *testing.T) {
	for _, want := range []book{
		{name: "book", terms: map[string]term{}},
		{name: "book", terms: map[string]term{"a": {place: 1, last: 5}, "b": {place: 2, returned: []int64{7, 9}}}},
	} {
		if got, err := read(newPage(want)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	}
}

func TestBookThatCannotBeRead(t *testing.T) {
	for name, data := range map[string]map[string]string{
		"no-name": {}, "term-empty": {"book": "b", "t": ""}, "term-short": {"book": "b", "t": "1 2"},
		"place": {"book": "b", "t": "x 2 "}, "last": {"book": "b", "t": "1 x "}, "returned": {"book": "b", "t": "1 2 3,x"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(&core.ConfigMap{ObjectMeta: meta.ObjectMeta{Namespace: "hawser-system", Name: ConfigMapName}, Data: data})
			if err == nil || !strings.HasPrefix(err.Error(), "the ConfigMap hawser-system/hawser-admissions is not as the manager writes it (key ") {
				t.Errorf("got %v", err)
			}
		})
	}
}
