package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// upstreamTimeout bounds the call of the service behind; it is below what callers grant for the whole.
	upstreamTimeout = 2 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 1 << 20
)

// Answer is what each service says.
type Answer struct {
	App     string `json:"app"`
	Host    string `json:"host"`
	Version string `json:"version"`
	// Caller is the SPIFFE ID of who asked, and Self the one that was answered under; both are empty without mutual TLS.
	Caller string `json:"caller,omitempty"`
	Self   string `json:"self,omitempty"`
	// Upstream is the answer of the service behind, and Error why there is none.
	Upstream *Answer `json:"upstream,omitempty"`
	Error    string  `json:"error,omitempty"`
}

// ask gets the answer of another service.
func ask(ctx context.Context, client *http.Client, url string) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	body, status, err := get(ctx, client, url)
	if err != nil {
		return nil, err
	}
	var answer Answer
	if err := json.Unmarshal(body, &answer); err != nil || answer.App == "" {
		return nil, fmt.Errorf("%s answered %d: %.200s", url, status, body)
	}
	if status != http.StatusOK {
		return &answer, fmt.Errorf("%s answered %d", url, status)
	}
	return &answer, nil
}

func get(ctx context.Context, client *http.Client, url string) (body []byte, status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, 0, fmt.Errorf("read the answer of %s: %w", url, err)
	}
	return body, response.StatusCode, nil
}
