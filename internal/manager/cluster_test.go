package manager

import (
	"context"
	"maps"
	"testing"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// endpoints is a reader of EndpointSlices alone.
type endpoints struct {
	client.Reader
	slices []discovery.EndpointSlice
}

func (e endpoints) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	into.(*discovery.EndpointSliceList).Items = e.slices
	return nil
}

func TestReplicas(t *testing.T) {
	yes, no := true, false
	endpoint := func(pod string, ready, terminating *bool) discovery.Endpoint {
		return discovery.Endpoint{
			TargetRef: &core.ObjectReference{Kind: "Pod", Name: pod}, Conditions: discovery.EndpointConditions{Ready: ready, Terminating: terminating},
		}
	}
	reader := endpoints{slices: []discovery.EndpointSlice{
		{Endpoints: []discovery.Endpoint{
			endpoint("ready", &yes, &no), endpoint("unknown", nil, nil), endpoint("stalled", &no, &no), endpoint("ending", &no, &yes),
			endpoint("two-families", &no, nil), {Addresses: []string{"192.0.2.1"}},
		}},
		{Endpoints: []discovery.Endpoint{endpoint("two-families", &yes, nil)}},
	}}
	got, err := replicas(t.Context(), reader, Options{Pod: "self"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"self": true, "ready": true, "unknown": true, "stalled": false, "two-families": true}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
