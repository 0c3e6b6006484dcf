package manager

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// scrapes at one time; more are turned away.
const scrapes = 2

// Handler answers Prometheus with these metrics and those of further gatherers. The answer has the text format, which every
// Prometheus reads.
func (m *metrics) Handler(further ...prometheus.Gatherer) http.Handler {
	gatherers := append(prometheus.Gatherers{m.registry}, further...)
	free := make(chan struct{}, scrapes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case free <- struct{}{}:
			defer func() { <-free }()
		default:
			http.Error(w, fmt.Sprintf("%d scrapes are under way", scrapes), http.StatusServiceUnavailable)
			return
		}
		families, machines, err := m.gather(r.Context(), gatherers)
		if err != nil {
			// An answer without a part would look as if that were not there.
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
		to, finish := compressed(w, r)
		// Errors of write are the asker's, who has gone.
		if write(to, families, machines) == nil {
			_ = finish()
		}
	})
}

func (m *metrics) gather(ctx context.Context, gatherers prometheus.Gatherers) ([]*dto.MetricFamily, []v1alpha1.Machine, error) {
	families, err := gatherers.Gather()
	if err != nil || m.list == nil {
		return families, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	machines, err := m.list(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list the machines: %w", err)
	}
	return families, machines, nil
}

func write(to io.Writer, families []*dto.MetricFamily, machines []v1alpha1.Machine) error {
	encoder := expfmt.NewEncoder(to, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return err
		}
	}
	return writeMachines(to, machines)
}

// compressed is where to write to, and what to call at the end. The pages are long and their lines alike.
func compressed(w http.ResponseWriter, r *http.Request) (to io.Writer, finish func() error) {
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		buffer := bufio.NewWriterSize(w, 32<<10)
		return buffer, buffer.Flush
	}
	w.Header().Set("Content-Encoding", "gzip")
	zipped := gzip.NewWriter(w)
	buffer := bufio.NewWriterSize(zipped, 32<<10)
	return buffer, func() error { return errors.Join(buffer.Flush(), zipped.Close()) }
}
