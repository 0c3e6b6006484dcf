package publish

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// The book of a machine's newest stream has to be opened last: whoever opened later would be taken for the newest.
func TestBooksOpenInTheOrderOfTheStreams(t *testing.T) {
	hub := NewHub()
	machine := types.NamespacedName{Namespace: "shop", Name: "vm"}
	var mu sync.Mutex
	var opened []string
	open := func(name string) {
		mu.Lock()
		defer mu.Unlock()
		opened = append(opened, name)
	}
	second := make(chan error, 1)
	err := hub.enter(newSession(machine, "", ""), func() {
		overtakes := make(chan struct{})
		go func() {
			second <- hub.enter(newSession(machine, "", ""), func() { open("second"); close(overtakes) })
		}()
		select {
		case <-overtakes:
		case <-time.After(100 * time.Millisecond):
		}
		open("first")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(opened, []string{"first", "second"}) {
		t.Errorf("opened %s", fmt.Sprint(opened))
	}
}
