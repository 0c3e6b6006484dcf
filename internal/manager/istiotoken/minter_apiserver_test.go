//go:build apiserver

package istiotoken_test

import (
	"strings"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hawser-io/hawser/internal/manager/istiotoken"
	"github.com/hawser-io/hawser/internal/manager/managertest"
)

func TestMinter(t *testing.T) {
	client, err := kubernetes.NewForConfig(managertest.StartAPIServer(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().ServiceAccounts("default").Create(t.Context(), &core.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "ratings"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	vm := machine("vm-1", "11111111-0000-4000-8000-000000000001")
	now := having(vm, machine("vm-2", "u"))
	minter := istiotoken.NewMinter(client.CoreV1(), now)
	token, err := minter.Mint(t.Context(), vm, "ratings", 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	again, err := minter.Mint(t.Context(), vm, "ratings", 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(time.Unix(token.Expiry, 0)); left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("the token lives for %s", left)
	}

	t.Run("istiod_accepts_it", func(t *testing.T) {
		status := review(t, client, token.Token, istiotoken.Audience)
		if !status.Authenticated || status.User.Username != "system:serviceaccount:default:ratings" {
			t.Errorf("reviewed as %+v", status)
		}
	})
	t.Run("the_api_server_does_not", func(t *testing.T) {
		if review(t, client, token.Token).Authenticated {
			t.Error("the token opens the Kubernetes API")
		}
	})
	t.Run("secret_is_the_machines_and_empty", func(t *testing.T) {
		secret, err := client.CoreV1().Secrets("default").Get(t.Context(), istiotoken.SecretName("vm-1"), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(secret.Data) != 0 || len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != vm.UID {
			t.Errorf("it is %+v", secret)
		}
	})
	t.Run("service_account_missing", func(t *testing.T) {
		_, err := minter.Mint(t.Context(), vm, "nobody", 24*time.Hour)
		if err == nil || !strings.Contains(err.Error(), "ServiceAccount default/nobody, which does not exist: create it") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("machine_joined_anew_voids_the_earlier_ones_tokens", func(t *testing.T) {
		anew := machine("vm-1", "22222222-0000-4000-8000-000000000002")
		now.known[anew.String()] = anew
		fresh, err := minter.Mint(t.Context(), anew, "ratings", 24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		awaitVoid(t, client, token.Token)
		awaitVoid(t, client, again.Token)
		if !review(t, client, fresh.Token, istiotoken.Audience).Authenticated {
			t.Error("the new token is void")
		}
		token = fresh
	})
	t.Run("revoked", func(t *testing.T) {
		for range 2 {
			if err := minter.Revoke(t.Context(), vm.NamespacedName); err != nil {
				t.Fatal(err)
			}
		}
		awaitVoid(t, client, token.Token)
	})
	t.Run("secret_of_somebody_else", func(t *testing.T) {
		foreign := &core.Secret{ObjectMeta: metav1.ObjectMeta{Name: istiotoken.SecretName("vm-2")}}
		if _, err := client.CoreV1().Secrets("default").Create(t.Context(), foreign, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := minter.Mint(t.Context(), machine("vm-2", "u"), "ratings", 24*time.Hour)
		if err == nil || !strings.Contains(err.Error(), "is not Hawser's: rename or delete it") {
			t.Errorf("got %v", err)
		}
	})
}

func review(t *testing.T, client kubernetes.Interface, token string, audiences ...string) authentication.TokenReviewStatus {
	t.Helper()
	reviewed, err := client.AuthenticationV1().TokenReviews().Create(t.Context(), &authentication.TokenReview{
		Spec: authentication.TokenReviewSpec{Token: token, Audiences: audiences},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return reviewed.Status
}

// awaitVoid waits until a token is refused: the API server remembers a review for some seconds.
func awaitVoid(t *testing.T, client kubernetes.Interface, token string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for review(t, client, token, istiotoken.Audience).Authenticated {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatal("the token is still accepted")
		}
	}
}
