package lab

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// fakeHolder notes what is stopped and started; broken cannot be stopped.
type fakeHolder struct {
	did    []string
	broken string
}

var _ holder = (*fakeHolder)(nil)

func (f *fakeHolder) Hold(_ context.Context, name string) error {
	f.did = append(f.did, "stop "+name)
	if name == f.broken {
		return errors.New("it hangs")
	}
	return nil
}

func (f *fakeHolder) Release(_ context.Context, name string) error {
	f.did = append(f.did, "start "+name)
	return nil
}

// Whatever fails, all runs again that was stopped.
func TestRestart(t *testing.T) {
	all := []string{"stop a", "stop b", "work", "start b", "start a"}
	for name, c := range map[string]struct {
		broken string
		work   error
		want   []string
	}{
		"well":            {"", nil, all},
		"work-fails":      {"", errors.New("no"), all},
		"a-does-not-stop": {"a", nil, []string{"stop a", "start a"}},
		"b-does-not-stop": {"b", nil, []string{"stop a", "stop b", "start b", "start a"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeHolder{broken: c.broken}
			err := restart(t.Context(), f, []string{"a", "b"}, func() error { f.did = append(f.did, "work"); return c.work })
			if !slices.Equal(f.did, c.want) || (err == nil) != (name == "well") {
				t.Errorf("did %q, %v; want %q", f.did, err, c.want)
			}
		})
	}
}
