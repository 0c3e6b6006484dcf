package fanout

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// leases are the writes by which managers agree on a leader, and the API servers on who they are.
const leases = "leases"

// calm is how long nothing has to be written for all to count as recorded.
const calm = 3 * time.Second

// writes counts the API server's requests that write, by resource, as its own metric tells. It has no label for the client: no controller
// runs here, so all are the manager's, the benchmark's or the API server's own.
func (c *cluster) writes(ctx context.Context) (map[string]float64, error) {
	body, err := c.clientset.RESTClient().Get().AbsPath("/metrics").Stream(ctx)
	if err != nil {
		return nil, fail("read the API server's metrics", err)
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, fail("read the API server's metrics", err)
	}
	return countWrites(text)
}

func countWrites(text []byte) (map[string]float64, error) {
	counts := map[string]float64{}
	for line := range bytes.Lines(text) {
		labels, ok := strings.CutPrefix(string(line), "apiserver_request_total{")
		if !ok {
			continue
		}
		labels, value, _ := strings.Cut(labels, "} ")
		count, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return nil, fmt.Errorf("apiserver_request_total: %w", err)
		}
		switch label(labels, "verb") {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
			counts[label(labels, "resource")] += count
		}
	}
	return counts, nil
}

func label(labels, name string) string {
	_, rest, _ := strings.Cut(","+labels, ","+name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// quiet returns when nothing has been written but leases for a while.
func (c *cluster) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before := -1.0
	for {
		counts, err := c.writes(ctx)
		if err != nil {
			return err
		}
		sum := 0.0
		for kind, count := range counts {
			if kind != leases {
				sum += count
			}
		}
		if sum != before {
			before, c.lastWrite = sum, time.Now()
		}
		if time.Since(c.lastWrite) > calm {
			return nil
		}
		if err := pause(ctx, time.Second/2); err != nil {
			return fmt.Errorf("the manager does not stop writing: %w", err)
		}
	}
}
