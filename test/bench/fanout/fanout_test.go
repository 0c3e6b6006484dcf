package fanout

import (
	"maps"
	"math"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i)*time.Second)
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(hundred, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("quantile of nothing is %v", got)
	}
}

func TestCountWrites(t *testing.T) {
	got, err := countWrites([]byte(`# TYPE apiserver_request_total counter
apiserver_request_total{code="200",resource="machines",subresource="status",verb="PUT"} 3
apiserver_request_total{code="409",resource="machines",subresource="status",verb="PUT"} 1
apiserver_request_total{code="200",resource="machines",verb="LIST"} 7
apiserver_request_total{code="200",resource="leases",verb="PUT"} 2
apiserver_request_duration_seconds_count{resource="machines",verb="PUT"} 9
`))
	if want := map[string]float64{"machines": 4, "leases": 2}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if got, err := countWrites([]byte(`apiserver_request_total{resource="machines",verb="PUT"} many`)); err == nil {
		t.Errorf("no error, but %v", got)
	}
}

func TestStatusLine(t *testing.T) {
	const text = "Name:\thawser-manager\nVmHWM:\t  200 kB\nVmRSS:\t  100 kB\n"
	if got, err := statusLine(text, "VmRSS"); err != nil || got != 102400 {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := statusLine(text, "VmSwap"); err == nil {
		t.Errorf("no error, but %v", got)
	}
}
