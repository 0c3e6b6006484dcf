package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// pollPause is between two tries of a request that is not served yet, and so the resolution of what is measured.
const pollPause = 25 * time.Millisecond

// answer is what the demonstration's application says: who answers, who asked, and the answer of the service behind it.
type answer struct {
	App, Host, Caller, Self string
	Upstream                *answer
}

// toPod requests the catalog from a machine until it answers, in one command, and returns when that was. The answer has to
// show the identities of both sides, so it came through the mesh.
func (s *stage) toPod(ctx context.Context, machine string) (time.Time, error) {
	script := fmt.Sprintf(`until curl -fsS -m 2 http://catalog:9080/ 2>/dev/null; do sleep %g; done`, pollPause.Seconds())
	out, err := s.output(ctx, nil, "hawser-lab", "vm", "exec", machine, "--", "sh", "-c", script)
	served := time.Now()
	if err != nil {
		return served, err
	}
	var got answer
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		return served, fmt.Errorf("the catalog's answer: %w", err)
	}
	if got.App != "catalog" || got.Caller != identity || !strings.HasSuffix(got.Self, "/sa/catalog") {
		return served, fmt.Errorf("the catalog's answer did not come through the mesh: %s", out)
	}
	return served, nil
}

// toMachine requests the machine from the calling pod until it answers, and returns when that was.
func (c *caller) toMachine(ctx context.Context, machine string) (time.Time, error) {
	var served time.Time
	err := until(ctx, 2*time.Minute, pollPause, func(ctx context.Context) error {
		got, err := c.call(ctx)
		served = time.Now()
		if err != nil {
			return err
		}
		if got.Host != machine || got.Caller != identity || got.Self != identity {
			return fmt.Errorf("not %s answered as a member of the mesh: %+v", machine, *got)
		}
		return nil
	})
	return served, err
}

// nobody waits until no machine serves the Service.
func (c *caller) nobody(ctx context.Context) error {
	return until(ctx, time.Minute, 4*pollPause, func(ctx context.Context) error {
		if got, err := c.call(ctx); err == nil {
			return fmt.Errorf("%s still answers", got.Host)
		}
		return ctx.Err()
	})
}

// caller has the calling pod make requests: a tunnel to its own port, which costs less than a command for each request.
type caller struct {
	url    string
	client *http.Client
}

// call has the pod request the Service, and returns the answer of the machine.
func (c *caller) call(ctx context.Context) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return nil, err
	}
	var got answer
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, body)
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, err
	}
	if got.Upstream == nil {
		return nil, errors.New("the pod answered for itself alone")
	}
	return got.Upstream, nil
}

// withCaller opens the tunnel to the calling pod for as long as use lasts.
func (s *stage) withCaller(ctx context.Context, use func(*caller) error) (err error) {
	ctx, end := context.WithCancel(ctx)
	tunnel := s.command(ctx, "kubectl", "port-forward", "-n", namespace, "deployment/"+prefix+"-caller", ":9080")
	out, err := tunnel.StdoutPipe()
	if err != nil {
		end()
		return err
	}
	if err := tunnel.Start(); err != nil {
		end()
		return err
	}
	said := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		line := make([]byte, 256)
		n, _ := out.Read(line)
		said <- string(line[:n])
		// kubectl tells of each connection; somebody has to listen.
		_, _ = io.Copy(io.Discard, out)
	}()
	defer func() {
		end()
		<-drained
		// It was told to end.
		_ = tunnel.Wait()
	}()
	line := <-said
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
	if address == "" {
		return fmt.Errorf("kubectl port-forward said %q", line)
	}
	return use(&caller{url: "http://" + address + "/call", client: &http.Client{Timeout: 5 * time.Second}})
}
