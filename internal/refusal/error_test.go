package refusal

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestWireKeepsEverything(t *testing.T) {
	sent := New(TokenExpired, "token", "shop.k3", "expired", "2026-08-01T10:00:00Z", "group", "shop/ratings")
	got, ok := FromError(sent.GRPCStatus().Err())
	if !ok {
		t.Fatal("the refusal was lost on the wire")
	}
	if fmt.Sprint(got) != fmt.Sprint(sent) || got.Reason != sent.Reason || got.Retry != sent.Retry || fmt.Sprint(got.Attributes) != fmt.Sprint(sent.Attributes) {
		t.Errorf("got %+v, sent %+v", got, sent)
	}
	if code := status.Code(got.GRPCStatus().Err()); code != codes.PermissionDenied {
		t.Errorf("code %v", code)
	}
	const want = "join token shop.k3 expired at 2026-08-01T10:00:00Z: create another token with `hawser token create --group shop/ratings`"
	if got.Error() != want {
		t.Errorf("text %q, want %q", got, want)
	}
}

func TestReasonOfANewerManagerIsShown(t *testing.T) {
	newer := &Error{Reason: "QuotaExceeded", Message: "the group is full", Next: "ask for more", Retry: true, code: codes.ResourceExhausted}
	got, ok := FromError(newer.GRPCStatus().Err())
	if !ok || got.Reason != "QuotaExceeded" || got.Error() != "the group is full: ask for more" || !got.Retry {
		t.Errorf("got %+v, %v", got, ok)
	}
}

func TestIs(t *testing.T) {
	err := fmt.Errorf("join: %w", New(TokenUsed, "token", "a.b"))
	if !errors.Is(err, TokenUsed) || errors.Is(err, TokenExpired) {
		t.Errorf("errors.Is does not tell reasons apart: %v", err)
	}
	if e, ok := FromError(err); !ok || e.Reason != TokenUsed {
		t.Errorf("FromError of a wrapped refusal: %v, %v", e, ok)
	}
}

func TestCauseStaysHere(t *testing.T) {
	cause := errors.New("etcd says no")
	err := New(ManagerBusy, "action", "look up machine a/b").Because(cause)
	if !errors.Is(err, cause) || !errors.Is(err, ManagerBusy) {
		t.Errorf("%v has no cause", err)
	}
	if text := err.GRPCStatus().String(); strings.Contains(text, "etcd") {
		t.Errorf("the cause goes over the wire: %s", text)
	}
}

func TestOthersAreNoRefusals(t *testing.T) {
	for name, err := range map[string]error{
		"nil":    nil,
		"plain":  errors.New("no route to host"),
		"status": status.Error(codes.Unavailable, "connection refused"),
	} {
		t.Run(name, func(t *testing.T) {
			if e, ok := FromError(err); ok {
				t.Errorf("%v was taken for %v", err, e)
			}
		})
	}
}

func TestFoundElsewhere(t *testing.T) {
	e := Found(ImageUnauthorized, "the registry refuses the credentials", "add a pull secret")
	if e.Error() != "the registry refuses the credentials: add a pull secret" || e.Retry {
		t.Errorf("%+v", e)
	}
	unknown := Found("RootCertificateMissing", "there is none", "wait")
	if code := status.Code(unknown.GRPCStatus().Err()); code != codes.FailedPrecondition {
		t.Errorf("code of a reason without a row: %v", code)
	}
}

// Each text must be whole once its attributes are given, start in lower case, and have no full stop.
func TestTableIsWorded(t *testing.T) {
	attribute := regexp.MustCompile(`\{([a-z0-9]+)\}`)
	for reason, row := range table() {
		t.Run(string(reason), func(t *testing.T) {
			if row.code == codes.OK {
				t.Error("no gRPC code")
			}
			if (row.message == "") != (row.next == "") {
				t.Error("a message needs a next step, and the other way round")
			}
			var pairs []any
			for _, found := range attribute.FindAllStringSubmatch(row.message+row.next, -1) {
				pairs = append(pairs, found[1], "X")
			}
			e := New(reason, pairs...)
			if text := e.Error(); strings.ContainsAny(text, "{}") || strings.HasSuffix(text, ".") {
				t.Errorf("text %q", text)
			}
		})
	}
}
