package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func newService(t *testing.T, app, upstream, call string) *httptest.Server {
	t.Helper()
	s := &service{app: app, host: app + "-1", version: "v1", upstream: upstream, call: call, client: newHTTPClient()}
	s.healthy.Store(true)
	server := httptest.NewServer(s.handler())
	t.Cleanup(server.Close)
	return server
}

func fetchAnswer(t *testing.T, url, xfcc string) (Answer, int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if xfcc != "" {
		request.Header.Set("X-Forwarded-Client-Cert", xfcc)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer Answer
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer, response.StatusCode
}

func TestAnswersAreNested(t *testing.T) {
	ratings := newService(t, "ratings", "", "")
	catalog := newService(t, "catalog", ratings.URL, "")
	web := newService(t, "web", catalog.URL+"/", "")
	answer, status := fetchAnswer(t, web.URL, "By=spiffe://td/ns/shop/sa/web;URI=spiffe://td/ns/shop/sa/loadgen")
	want := Answer{
		App: "web", Host: "web-1", Version: "v1", Caller: "spiffe://td/ns/shop/sa/loadgen", Self: "spiffe://td/ns/shop/sa/web",
		Upstream: &Answer{
			App: "catalog", Host: "catalog-1", Version: "v1",
			Upstream: &Answer{App: "ratings", Host: "ratings-1", Version: "v1"},
		},
	}
	if got, wanted := text(t, answer), text(t, want); status != http.StatusOK || got != wanted {
		t.Errorf("status %d, got:\n%s\nwant:\n%s", status, got, wanted)
	}
}

func TestUpstreamFails(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	noJSON := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
	}))
	defer noJSON.Close()
	for name, upstream := range map[string]string{"refused": gone.URL, "answered 503: no healthy upstream": noJSON.URL} {
		catalog := newService(t, "catalog", upstream, "")
		web := newService(t, "web", catalog.URL, "")
		answer, status := fetchAnswer(t, web.URL, "")
		if status != http.StatusBadGateway || answer.Upstream == nil || !strings.Contains(answer.Upstream.Error, name) {
			t.Errorf("status %d, got %s, want 502 and an error with %q", status, text(t, answer), name)
		}
	}
}

func TestCallIsAnEndpointOfItsOwn(t *testing.T) {
	catalog := newService(t, "catalog", "", "")
	ratings := newService(t, "ratings", "", catalog.URL)
	if answer, _ := fetchAnswer(t, ratings.URL+"/", ""); answer.Upstream != nil {
		t.Errorf("/ asked upstream: %s", text(t, answer))
	}
	if answer, _ := fetchAnswer(t, ratings.URL+"/call", ""); answer.Upstream == nil || answer.Upstream.App != "catalog" {
		t.Errorf("/call did not ask catalog: %s", text(t, answer))
	}
	response, err := http.Get(catalog.URL + "/call")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("/call of a service without one: status %d, want 404", response.StatusCode)
	}
}

func TestHealthIsSwitched(t *testing.T) {
	url := newService(t, "ratings", "", "").URL
	check := func(want int) {
		t.Helper()
		response, err := http.Get(url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("health is %d, want %d", response.StatusCode, want)
		}
	}
	set := func(query string, want int) {
		t.Helper()
		response, err := http.Post(url+"/admin/health"+query, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("switching health with %q is %d, want %d", query, response.StatusCode, want)
		}
	}
	check(http.StatusOK)
	set("?ok=false", http.StatusNoContent)
	check(http.StatusServiceUnavailable)
	set("?ok=maybe", http.StatusBadRequest)
	check(http.StatusServiceUnavailable)
	set("?ok=true", http.StatusNoContent)
	check(http.StatusOK)
}

func text(t *testing.T, answer Answer) string {
	t.Helper()
	raw, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
