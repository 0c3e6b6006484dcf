package manager

import (
	"context"

	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/record"
)

// Writer is the same writer with its writes counted.
func (m *metrics) Writer(writer record.Writer) record.Writer { return countedWriter{writer, m} }

// StatusWriter is the same writer with its writes counted.
func (m *metrics) StatusWriter(writer record.StatusWriter) record.StatusWriter {
	return countedStatus{writer, m}
}

type countedWriter struct {
	record.Writer
	metrics *metrics
}

func (w countedWriter) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	return w.metrics.wrote(object, "", "create", w.Writer.Create(ctx, object, options...))
}

func (w countedWriter) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	return w.metrics.wrote(object, "", "update", w.Writer.Update(ctx, object, options...))
}

func (w countedWriter) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	return w.metrics.wrote(object, "", "delete", w.Writer.Delete(ctx, object, options...))
}

type countedStatus struct {
	record.StatusWriter
	metrics *metrics
}

func (w countedStatus) Update(ctx context.Context, object client.Object, options ...client.SubResourceUpdateOption) error {
	return w.metrics.wrote(object, "/status", "update", w.StatusWriter.Update(ctx, object, options...))
}

// wrote counts a write and returns its error.
func (m *metrics) wrote(object client.Object, subresource, verb string, err error) error {
	result := "ok"
	switch {
	case apierrors.IsConflict(err):
		result = "conflict"
	case err != nil:
		result = "error"
	}
	m.writes.WithLabelValues(resource(object)+subresource, verb, result).Inc()
	return err
}

func resource(object client.Object) string {
	switch object.(type) {
	case *v1alpha1.Machine:
		return "machines"
	case *istionetworking.WorkloadEntry:
		return "workloadentries"
	default:
		return "others"
	}
}
