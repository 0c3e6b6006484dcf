package mesh

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/util/cert"
)

// roots says how many roots are trusted, and which of them signs, from 0.
func (r Roots) describe(t *testing.T) (trusted, signing int) {
	t.Helper()
	secret, err := r.secrets.Get(t.Context(), rootsSecret, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := cert.ParseCertsPEM(secret.Data[fileRoots])
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cert.ParseCertsPEM(secret.Data[fileCertificate])
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range all {
		if one.Equal(signer[0]) {
			return len(all), i
		}
	}
	t.Fatal("istiod signs by a root that nobody trusts")
	return 0, 0
}

func TestRootsAreRotatedInThreeSteps(t *testing.T) {
	r := NewRoots(fake.NewClientset())
	for _, step := range []struct {
		name             string
		do               func(context.Context) error
		fails            bool
		trusted, signing int
	}{
		{"ensure", r.Ensure, false, 1, 0},
		{"ensure again", r.Ensure, false, 1, 0},
		{"use none", r.Use, true, 1, 0},
		{"drop none", r.Drop, true, 1, 0},
		{"add", r.Add, false, 2, 0},
		{"add again", r.Add, true, 2, 0},
		{"drop what signs", r.Drop, true, 2, 0},
		{"use", r.Use, false, 3, 1},
		{"use again", r.Use, false, 3, 1},
		{"drop", r.Drop, false, 1, 0},
		{"add another", r.Add, false, 2, 0},
	} {
		if err := step.do(t.Context()); (err != nil) != step.fails {
			t.Fatalf("%s: %v", step.name, err)
		}
		if trusted, signing := r.describe(t); trusted != step.trusted || signing != step.signing {
			t.Errorf("%s: %d trusted, number %d signs", step.name, trusted, signing)
		}
	}
}
