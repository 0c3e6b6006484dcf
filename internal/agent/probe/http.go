package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/roundtrip"
)

// longestReason in bytes: enough for a human, small enough for a condition.
const longestReason = 256

type httpChecker struct{ probe *hawserv1.HttpProbe }

// mostRedirects are followed, as by the kubelet.
const mostRedirects = 10

// Check succeeds on any status from 200 to 399, and on a redirect to another host, which the kubelet does not follow
// either (k8s.io/kubernetes/pkg/probe/http). Each request has a connection of its own, so that a probe also finds out whether
// connections are taken.
func (c httpChecker) Check(ctx context.Context) error {
	target := c.url()
	for range mostRedirects {
		answer, err := c.ask(ctx, target)
		if err != nil {
			return fmt.Errorf("GET %s: %w", target, cause(err))
		}
		next := redirect(target, answer)
		if next == nil || next.Hostname() != target.Hostname() {
			return verdict(target, answer)
		}
		target = next
	}
	return fmt.Errorf("stopped after %d redirects", mostRedirects)
}

func (c httpChecker) ask(ctx context.Context, target *url.URL) (*roundtrip.Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "hawser-probe")
	request.Header.Set("Accept", "*/*")
	for _, header := range c.probe.GetHeaders() {
		if strings.EqualFold(header.GetName(), "Host") {
			request.Host = header.GetValue()
			continue
		}
		request.Header.Add(header.GetName(), header.GetValue())
	}
	return roundtrip.Do(request, longestReason)
}

// redirect is where an answer to a request of target leads, nil if nowhere.
func redirect(target *url.URL, answer *roundtrip.Answer) *url.URL {
	switch answer.Code {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		location := answer.Header.Get("Location")
		next, err := target.Parse(location)
		if err != nil || location == "" || next.Scheme != "http" && next.Scheme != "https" {
			return nil
		}
		return next
	default:
		return nil
	}
}

func verdict(target *url.URL, answer *roundtrip.Answer) error {
	if answer.Code >= http.StatusOK && answer.Code < http.StatusBadRequest {
		return nil
	}
	return errors.New(strings.TrimSpace(fmt.Sprintf("GET %s: %s: %s", target, answer.Status, oneLine(answer.Body))))
}

func (c httpChecker) url() *url.URL {
	scheme := strings.ToLower(c.probe.GetScheme())
	if scheme == "" {
		scheme = "http"
	}
	target, err := url.Parse(c.probe.GetPath())
	if err != nil {
		target = &url.URL{Path: c.probe.GetPath()}
	}
	target.Scheme, target.Host = scheme, address(c.probe.GetHost(), c.probe.GetPort())
	if !strings.HasPrefix(target.Path, "/") {
		target.Path = "/" + target.Path
	}
	return target
}

func oneLine(text []byte) string {
	fields := strings.Fields(strings.ToValidUTF8(string(text), "?"))
	line := strings.Join(fields, " ")
	if len(line) > longestReason {
		line = line[:longestReason]
	}
	return strings.ToValidUTF8(line, "")
}
