package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/store"
	"github.com/hawser-io/hawser/internal/refusal"
)

func TestStateIsAppliedReportedAndKept(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	at := w.manager.Await(t, 0, `applied="g1" failed="" slot="a" healthy=true`)
	w.machine.await(t, "applied=g1 token=token-g1 restored=false")
	status := w.awaitStatus("ready", func(s local.Status) bool {
		return s.Ready && s.Healthy && !s.Facts.Certificates.Proxy.NotAfter.IsZero()
	})
	if status.Machine.Name != "vm-1" || status.Manager != w.manager.Address || status.Facts.Certificates.Agent.NotAfter.IsZero() || len(status.Facts.Configuration.Steps) != 1 {
		t.Errorf("status %+v", status)
	}
	w.manager.Desire(state("g2"))
	w.manager.Await(t, at, `applied="g2"`)
	if kept, err := w.store.Desired(); err != nil || kept.GetGeneration() != "g2" {
		t.Errorf("kept %v, %v", kept, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	w.manager.Await(t, at, "bye shop/vm-1")
}

func TestBootWithoutAManager(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	w.manager.Await(t, 0, `applied="g1"`)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// A reboot: the tmpfs with the token is gone, and so is the manager.
	w.machine.applied, w.machine.token = "", nil
	address, seen := w.manager.Address, strings.Count(w.manager.Events(), "\n")
	w.manager.Stop(t)
	stop = w.run()
	w.machine.await(t, "applied=g1 token= restored=false")
	w.awaitStatus("applied and disconnected", func(s local.Status) bool {
		return s.Facts.Configuration.Applied == "g1" && strings.Contains(s.Facts.Connection.Error, "refuses connections")
	})
	w.manager.Listen(t, address)
	w.manager.Await(t, seen, `hello shop/vm-1 generation="g1" token=0`)
	w.machine.await(t, "applied=g1 token=token-g1 restored=false")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestTokenAloneIsHandedToTheHost(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	at := w.manager.Await(t, 0, `applied="g1"`)
	expiry := time.Now().Add(12 * time.Hour).Unix()
	w.manager.SendToken(&hawserv1.IstioToken{Token: "fresh", Expiry: expiry})
	w.machine.await(t, "applied=g1 token=fresh restored=false")
	w.manager.Cut(status.Error(codes.Unavailable, "going away"))
	w.manager.Await(t, at, "token="+strconv.FormatInt(expiry, 10))
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAChangedHostIsPutRight(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	w.manager.Await(t, 0, `applied="g1"`)
	if followed := w.drift.Followed(); !slices.Equal(followed, []string{"/etc/watched"}) {
		t.Errorf("followed: %v", followed)
	}
	w.machine.drift()
	w.drift.changed <- struct{}{}
	w.machine.await(t, "applied=g1 token=token-g1 restored=false")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAFailureIsReportedAndTriedAgain(t *testing.T) {
	w := newWorld(t)
	// It fails until the manager has seen it: reports tell the newest facts, so a failure that passes at once may never be told.
	w.machine.fail(reasoned{"NoSpace", "no space on /var/lib/hawser"})
	w.manager.Desire(state("g1"))
	stop := w.run()
	at := w.manager.Await(t, 0, `failed="g1" slot="" healthy=false`)
	w.machine.mend()
	if !strings.Contains(w.manager.Events(), "ConfigCurrent=False/NoSpace") {
		t.Errorf("no reason in\n%s", w.manager.Events())
	}
	w.manager.Await(t, at, `applied="g1" failed=""`)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A look at the host that fails, as when systemctl hangs, says nothing about the proxy, which goes on serving.
func TestAHostThatCannotBeLookedAtKeepsItsHealth(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	at := w.manager.Await(t, 0, `applied="g1" failed="" slot="a" healthy=true`)
	w.machine.fail(errors.New("observe the host: look at units: run systemctl show: context deadline exceeded"))
	w.manager.SendToken(&hawserv1.IstioToken{Token: "fresh", Expiry: time.Now().Add(12 * time.Hour).Unix()})
	w.manager.Await(t, at, `applied="" failed="g1" slot="a" healthy=true`)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// An agent that was stopped while it applied a change knows less than any other when it starts: it looks at the host before it speaks of the proxy.
func TestAnAgentThatWasCutOffDoesNotCallAProxyUnreadyThatItHasNotSeen(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	at := w.manager.Await(t, 0, `applied="g1" failed="" slot="a" healthy=true`)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := w.store.Begin("g2"); err != nil {
		t.Fatal(err)
	}
	w.manager.Desire(state("g2"))
	stop = w.run()
	w.manager.Await(t, at, `hello shop/vm-1 generation="g1"`)
	for _, event := range strings.Split(w.manager.Events(), "\n")[at:] {
		if strings.HasPrefix(event, "hello") && !strings.Contains(event, `slot="a" healthy=true`) {
			t.Errorf("the first words after a restart: %s", event)
		}
	}
	w.manager.Await(t, at, `applied="g2"`)
	w.machine.await(t, "applied=g2 token=token-g2 restored=false")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

type reasoned struct{ reason, text string }

func (r reasoned) Error() string  { return r.text }
func (r reasoned) Reason() string { return r.reason }

func TestHealthFollowsProxyAndApplication(t *testing.T) {
	w := newWorld(t)
	var answer atomic.Int32
	answer.Store(http.StatusOK)
	application := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(int(answer.Load())) }))
	defer application.Close()
	target, err := url.Parse(application.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(target.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	want := state("g1")
	want.Health = &hawserv1.Health{Probe: &hawserv1.Health_Http{Http: &hawserv1.HttpProbe{Port: uint32(port), Path: "/"}}, PeriodMilliseconds: 20, FailureThreshold: 1}
	w.manager.Desire(want)
	stop := w.run()
	at := w.manager.Await(t, 0, "healthy=true")
	answer.Store(http.StatusServiceUnavailable)
	at = w.manager.Await(t, at, "healthy=false")
	answer.Store(http.StatusOK)
	at = w.manager.Await(t, at, "healthy=true")
	w.proxyStatus.Store(http.StatusServiceUnavailable)
	at = w.manager.Await(t, at, "healthy=false")
	w.proxyStatus.Store(http.StatusOK)
	at = w.manager.Await(t, at, "healthy=true")
	if err := stop(); err != nil {
		t.Error(err)
	}

	// An agent that is restarted says healthy in its first words, and never that it drains.
	before := strings.Count(w.manager.Events(), "draining=true")
	stop = w.run()
	w.manager.Await(t, at, `hello shop/vm-1 generation="g1"`)
	events := strings.Split(w.manager.Events(), "\n")
	if last := events[len(events)-1]; !strings.Contains(last, "healthy=true") {
		t.Errorf("the first words after a restart: %s", last)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if strings.Count(w.manager.Events(), "draining=true") != before {
		t.Errorf("a restart drained the machine:\n%s", w.manager.Events())
	}
}

// A second agent, started by hand, must not touch what the first one is writing.
func TestASecondAgentLeavesTheFirstAlone(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	w.manager.Await(t, 0, `applied="g1"`)
	half := filepath.Join(w.store.Directory(), "state", ".hawser-new-desired.pb-1")
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), w.options()); err == nil || !strings.Contains(err.Error(), "another agent runs") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(half); err != nil {
		t.Error(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAPartThatEndsByItselfEndsTheAgent(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx  context.Context
		part func() error
		want string
	}{
		"told to":                  {ended, func() error { return nil }, "<nil>"},
		"told to, with its words":  {ended, func() error { return context.Canceled }, "<nil>"},
		"told to, and failed":      {ended, func() error { return errors.New("disk full") }, "stream: disk full"},
		"without a word":           {t.Context(), func() error { return nil }, "stream: it ended by itself"},
		"with another's cancelled": {t.Context(), func() error { return context.Canceled }, "stream: context canceled"},
		"failed":                   {t.Context(), func() error { return errors.New("disk full") }, "stream: disk full"},
		"panicked":                 {t.Context(), func() error { panic("oh") }, "stream: panic: oh"},
	} {
		if got := fmt.Sprint(guard(test.ctx, "stream", test.part, log)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestCertificateIsRenewedAtHalfOfItsLife(t *testing.T) {
	w := newWorld(t)
	if err := w.store.Forget(); err != nil {
		t.Fatal(err)
	}
	w.manager.CertificateLife(3 * time.Second)
	w.enroll()
	stop := w.run()
	at := w.manager.Await(t, 0, "renew shop/vm-1")
	w.manager.Await(t, at, "renew shop/vm-1")
	w.manager.Cut(status.Error(codes.Unavailable, "going away"))
	w.manager.Await(t, at, "hello shop/vm-1")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A machine that slept past its certificate's end is back as soon as the manager is reached: it does not wait for the time of its next
// attempt to renew.
func TestAManagerThatFindsTheCertificateExpiredIsAskedForAnother(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	at := w.manager.Await(t, 0, `applied="g1"`)
	w.manager.Cut(refusal.New(refusal.CertificateExpired, "machine", "shop/vm-1", "expired", "yesterday").GRPCStatus().Err())
	// The stream may have been tried again first: this manager lets it in, other than one that means it.
	w.manager.Await(t, at, "renew shop/vm-1")
	w.manager.Await(t, at, "hello shop/vm-1")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestNothingToRun(t *testing.T) {
	w := newWorld(t)
	w.store = store.New(t.TempDir())
	if err := w.run()(); !errors.Is(err, errNotJoined) {
		t.Error(err)
	}
}
