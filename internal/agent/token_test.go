package agent

import (
	"encoding/base64"
	"testing"
)

func TestClaims(t *testing.T) {
	payload := `{"exp": 1800000000, "sub": "system:serviceaccount:shop:ratings", "kubernetes.io": {"namespace": "shop", "secret": {"name": "s", "uid": "u-1"}}}`
	got := claimsOf("h." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".s")
	if got.Expiry != 1_800_000_000 || got.account() != "ratings" || got.Kubernetes.Secret.UID != "u-1" {
		t.Errorf("got %+v", got)
	}
	for _, none := range []string{"", "a.b", "h.%.s", "h." + base64.RawURLEncoding.EncodeToString([]byte("[]")) + ".s"} {
		if got := claimsOf(none); got != (claims{}) {
			t.Errorf("%q has %+v", none, got)
		}
	}
}
