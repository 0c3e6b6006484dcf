package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

func TestThresholds(t *testing.T) {
	ready := Verdict{Ready: true}
	for _, test := range []struct {
		name                string
		begin               Verdict
		successes, failures int
		outcomes            string // + success, - failure
		want                string // + ready, - not ready, after each outcome
	}{
		{"defaults", Unknown(), 1, 3, "+---+", "+++-+"},
		{"first-failure-is-not-ready", Unknown(), 1, 3, "-+", "-+"},
		{"two-successes", Unknown(), 2, 1, "+-++-++", "---+--+"},
		{"a-success-forgives-failures", Unknown(), 1, 2, "+-+-+--", "++++++-"},
		{"what-was-ready-is-until-it-failed-enough", ready, 2, 3, "--+---", "+++++-"},
		{"what-was-not-ready-is-not-until-it-succeeded-enough", Verdict{Reason: "down"}, 2, 3, "+-++", "---+"},
	} {
		t.Run(test.name, func(t *testing.T) {
			threshold, got := newThreshold(test.begin, test.successes, test.failures), ""
			for _, outcome := range test.outcomes {
				var err error
				if outcome == '-' {
					err = errors.New("503")
				}
				verdict := threshold.add(err)
				if verdict.Ready {
					got += "+"
				} else {
					got += "-"
				}
				if verdict.Ready != (verdict.Reason == "") {
					t.Errorf("verdict %+v: a reason goes with not ready", verdict)
				}
			}
			if got != test.want {
				t.Errorf("outcomes %s: got %s, want %s", test.outcomes, got, test.want)
			}
		})
	}
}

func TestHTTP(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "ratings.example" || r.Header.Get("X-Probe") != "1" {
			http.Error(w, "headers missing", http.StatusBadRequest)
		}
	})
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "database\nis away", http.StatusServiceUnavailable)
	})
	mux.Handle("/here", http.RedirectHandler("/down", http.StatusFound))
	mux.Handle("/elsewhere", http.RedirectHandler("http://elsewhere.example/", http.StatusFound))
	plain, encrypted := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	defer plain.Close()
	defer encrypted.Close()
	headers := []*hawserv1.EnvVar{{Name: "Host", Value: "ratings.example"}, {Name: "X-Probe", Value: "1"}}
	for _, test := range []struct{ name, server, scheme, path, want string }{
		{"ok", plain.URL, "HTTP", "/ok", ""},
		{"https-unverified", encrypted.URL, "HTTPS", "/ok", ""},
		{"path-without-slash", plain.URL, "", "ok", ""},
		{"unavailable", plain.URL, "HTTP", "/down", "503 Service Unavailable: database is away"},
		{"redirect-here-is-followed", plain.URL, "HTTP", "/here", "503"},
		{"redirect-elsewhere-is-not", plain.URL, "HTTP", "/elsewhere", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			port := portOf(t, test.server)
			checker := New(&hawserv1.Health{Probe: &hawserv1.Health_Http{Http: &hawserv1.HttpProbe{Port: port, Path: test.path, Scheme: test.scheme, Headers: headers}}})
			wantError(t, checker.Check(t.Context()), test.want)
		})
	}
}

func TestTCP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	checker := New(&hawserv1.Health{Probe: &hawserv1.Health_Tcp{Tcp: &hawserv1.TcpProbe{Port: uint32(listener.Addr().(*net.TCPAddr).Port)}}})
	wantError(t, checker.Check(t.Context()), "")
	listener.Close()
	wantError(t, checker.Check(t.Context()), "connect to "+listener.Addr().String()+": connection refused")
}

func TestHTTPSaysWhoRefuses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	port := portOf(t, server.URL)
	server.Close()
	checker := New(&hawserv1.Health{Probe: &hawserv1.Health_Http{Http: &hawserv1.HttpProbe{Port: port, Path: "/health"}}})
	wantError(t, checker.Check(t.Context()), "GET "+server.URL+"/health: connection refused")
}

func TestExec(t *testing.T) {
	check := func(command ...string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return New(&hawserv1.Health{Probe: &hawserv1.Health_Exec{Exec: &hawserv1.ExecProbe{Command: command}}}).Check(ctx)
	}
	wantError(t, check("true"), "")
	wantError(t, check("sh", "-c", "echo replication lags >&2; exit 3"), "exit status 3: replication lags")
	wantError(t, check("/does/not/exist"), "no such file")
	wantError(t, check(), "no command")
}

// A WorkloadGroup's command is not root's, whoever the agent is.
func TestExecIsNotRoot(t *testing.T) {
	want := os.Geteuid()
	if want == 0 {
		want = account
	}
	check := fmt.Sprintf(`test "$(id -u):$(id -G)" = "%[1]d:%[1]d" || { id; exit 1; }`, want)
	if os.Geteuid() != 0 {
		check = fmt.Sprintf(`test "$(id -u)" = %d`, want)
	}
	checker := New(&hawserv1.Health{Probe: &hawserv1.Health_Exec{Exec: &hawserv1.ExecProbe{Command: []string{"sh", "-c", check}}}})
	if err := checker.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestExecThatHangsIsKilledWithItsChildren(t *testing.T) {
	checker := New(&hawserv1.Health{Probe: &hawserv1.Health_Exec{Exec: &hawserv1.ExecProbe{Command: []string{"sh", "-c", "sleep 60 & wait"}}}})
	start := time.Now()
	wantError(t, once(t.Context(), checker, 50*time.Millisecond), "no answer within 50ms")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the probe took %s", took)
	}
}

func TestGRPC(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	state, server := health.NewServer(), grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, state)
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	defer func() { server.Stop(); <-served }()
	check := func(service string) error {
		port := uint32(listener.Addr().(*net.TCPAddr).Port)
		return New(&hawserv1.Health{Probe: &hawserv1.Health_Grpc{Grpc: &hawserv1.GrpcProbe{Port: port, Service: service}}}).Check(t.Context())
	}
	wantError(t, check(""), "")
	wantError(t, check("ratings"), `does not know the gRPC service "ratings"`)
	state.SetServingStatus("ratings", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	wantError(t, check("ratings"), "NOT_SERVING")
}

func TestNoProbe(t *testing.T) {
	if checker := New(nil); checker != nil {
		t.Errorf("a checker without a probe: %v", checker)
	}
}

// script answers with its outcomes one after the other, and then with the last one.
type script struct {
	outcomes []error
	calls    int
}

var _ Checker = (*script)(nil)

func (s *script) Check(context.Context) error {
	s.calls++
	return s.outcomes[min(s.calls, len(s.outcomes))-1]
}

func TestRunTellsChangesAtTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		schedule := ScheduleOf(&hawserv1.Health{InitialDelayMilliseconds: 5000, PeriodMilliseconds: 1000, FailureThreshold: 2})
		start, told, done := time.Now(), []string{}, make(chan error)
		down := errors.New("down")
		checker := &script{outcomes: []error{down, nil, nil, down, down, down, nil}}
		go func() {
			done <- Run(ctx, checker, schedule, Unknown(), func(v Verdict) {
				told = append(told, fmt.Sprintf("%s %v", time.Since(start), v.Ready))
			})
		}()
		time.Sleep(time.Minute) // the bubble's clock: it takes no time
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got, want := strings.Join(told, ", "), "5s false, 6s true, 9s false, 11s true"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// clock fails with other words each time, as a page that shows the time does.
type clock struct{}

func (clock) Check(context.Context) error { return fmt.Errorf("503 at %s", time.Now()) }

// Each verdict is a report to the manager, and a write to the API server there.
func TestReasonsThatDifferEachTimeAreToldSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		told, done := []Verdict{}, make(chan error)
		go func() {
			done <- Run(ctx, clock{}, ScheduleOf(&hawserv1.Health{PeriodMilliseconds: 1000}), Unknown(), func(v Verdict) { told = append(told, v) })
		}()
		time.Sleep(10*time.Minute + time.Second/2) // the bubble's clock
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(told) < 8 || len(told) > 11 || told[0].Reason == told[1].Reason {
			t.Errorf("told %d times in ten minutes: %v", len(told), told)
		}
	})
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

func portOf(t *testing.T, server string) uint32 {
	t.Helper()
	parsed, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(parsed.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(port)
}
