package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// longestReason in bytes: enough for a human, small enough for a condition.
const longestReason = 256

type httpChecker struct{ probe *hawserv1.HttpProbe }

// Check succeeds on any status from 200 to 399, and on a redirect to another host, which the kubelet does not follow
// either (k8s.io/kubernetes/pkg/probe/http).
func (c httpChecker) Check(ctx context.Context) error {
	target := c.url()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
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
	client := &http.Client{Transport: transport(), CheckRedirect: sameHost}
	response, err := client.Do(request)
	if err != nil {
		return withoutSource(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusOK && response.StatusCode < http.StatusBadRequest {
		return nil
	}
	// A body that cannot be read explains nothing, and the status stands.
	body, _ := io.ReadAll(io.LimitReader(response.Body, longestReason))
	return errors.New(strings.TrimSpace(fmt.Sprintf("GET %s: %s: %s", target, response.Status, oneLine(body))))
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

// transport makes a new connection for each probe, so that a probe also finds out whether connections are taken, and
// verifies no certificate, as the kubelet.
func transport() *http.Transport {
	return &http.Transport{
		DialContext:       (&net.Dialer{}).DialContext,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives: true,
	}
}

// withoutSource removes the port that the kernel chose for the connection: with it, the words for the same failure would
// differ each time, and each difference is a report.
func withoutSource(err error) error {
	var failed *net.OpError
	if errors.As(err, &failed) {
		failed.Source = nil
	}
	return err
}

func sameHost(next *http.Request, via []*http.Request) error {
	if next.URL.Hostname() != via[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	return nil
}

func oneLine(text []byte) string {
	fields := strings.Fields(strings.ToValidUTF8(string(text), "?"))
	line := strings.Join(fields, " ")
	if len(line) > longestReason {
		line = line[:longestReason]
	}
	return strings.ToValidUTF8(line, "")
}
