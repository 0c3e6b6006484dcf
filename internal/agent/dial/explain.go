package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hawser-io/hawser/internal/identity"
)

// Unreachable says that the manager was not reached, why, and what to do next. A later attempt may succeed.
type Unreachable struct {
	Message, Next string
	// Unsent: no request left this host.
	Unsent bool
	// Final: somebody has to do something before another attempt can succeed.
	Final bool
	cause error
}

func (u *Unreachable) Error() string { return u.Message + ": " + u.Next }

// Unwrap gives the error of the network or of TLS.
func (u *Unreachable) Unwrap() error { return u.cause }

// unreachable words failure, the error of connecting at the host's time now. peer is empty if no TCP connection was made.
func unreachable(manager, peer string, failure error, now time.Time, unsent bool) error {
	message, next := words(manager, peer, failure, now)
	return &Unreachable{Message: message, Next: next, Unsent: unsent, Final: final(failure), cause: failure}
}

// badAnswer says that the manager was reached and did not do its part.
type badAnswer struct {
	message string
	cause   error
}

func (b *badAnswer) Error() string { return b.message }

func (b *badAnswer) Unwrap() error { return b.cause }

// seeLog is what is left to do about a failure inside of the manager.
const seeLog = "try again; if it stays so, see the manager's log (`kubectl logs deploy/hawser-manager -n NAMESPACE`)"

// explainCall words the error of a call on a connection that was made.
func explainCall(manager string, err error) error {
	s, ofCall := status.FromError(err)
	if !ofCall {
		return err
	}
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded:
		return &Unreachable{Message: fmt.Sprintf("the connection to the manager at %s broke off (%s)", manager, s.Message()), Next: seeLog, cause: err}
	case codes.Canceled:
		return &badAnswer{fmt.Sprintf("the manager at %s was not waited for: run the same command again", manager), err}
	case codes.Unimplemented:
		return &badAnswer{fmt.Sprintf("the manager at %s does not know what this agent asks (%s): install the agent of the manager's version", manager, s.Message()), err}
	default:
		return &badAnswer{fmt.Sprintf("the manager at %s failed (%s, %s): %s", manager, s.Message(), s.Code(), seeLog), err}
	}
}

func words(manager, peer string, failure error, now time.Time) (message, next string) {
	var (
		name    *net.DNSError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		plain   tls.RecordHeaderError
		timeout interface{ Timeout() bool }
	)
	switch {
	case errors.As(failure, &name) && peer == "":
		return fmt.Sprintf("the manager's name %s does not resolve", name.Name),
			"check --manager, or give the gateway's address instead of its name"
	case errors.Is(failure, identity.ErrPin):
		return fmt.Sprintf("what answers at %s is not the manager that the join token was made by", manager),
			"use the manager address that `hawser token create` printed with this token; if it is that one, something between intercepts TLS"
	case errors.As(failure, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the manager's certificate is not valid at this host's time, %s (%v)", now.UTC().Format(time.RFC3339), invalid),
			"set the clock (`timedatectl set-ntp true`)"
	case errors.As(failure, &unknown):
		return fmt.Sprintf("what answers at %s has a certificate of another authority than the one this machine joined", manager),
			"if Hawser was installed anew, run `hawser-agent leave` and join again"
	case errors.As(failure, &plain):
		return fmt.Sprintf("what answers at %s does not speak TLS", manager), "check the port: the manager is behind the gateway's port " + DefaultPort
	case errors.Is(failure, syscall.ECONNREFUSED):
		return fmt.Sprintf("%s refuses connections", orManager(peer, manager)),
			"check that the gateway runs and that its port is open: `kubectl get svc -A -l istio=eastwestgateway`"
	case errors.Is(failure, syscall.ENETUNREACH), errors.Is(failure, syscall.EHOSTUNREACH):
		return fmt.Sprintf("this host has no way to %s", orManager(peer, manager)),
			"check its network (`ip route`), and the address"
	case peer != "" && (errors.Is(failure, io.EOF) || errors.Is(failure, io.ErrUnexpectedEOF) || errors.Is(failure, syscall.ECONNRESET)):
		return fmt.Sprintf("the gateway at %s closes the connection: it has no way to the manager", peer),
			"check that Hawser runs in the cluster (`kubectl get deploy -A -l app.kubernetes.io/name=hawser`) and that the gateway passes " + identity.ManagerServerName
	case errors.As(failure, &timeout) && timeout.Timeout(), errors.Is(failure, context.DeadlineExceeded), errors.Is(failure, os.ErrDeadlineExceeded):
		return fmt.Sprintf("%s does not answer", orManager(peer, manager)),
			"check the address, and that firewalls let this host reach it"
	default:
		return fmt.Sprintf("the manager at %s cannot be reached (%s)", manager, oneLine(failure)), "check the address, and that firewalls let this host reach it"
	}
}

// oneLine joins what errors.Join puts on lines of their own.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// final tells failures that the other end or this host will repeat for ever.
func final(failure error) bool {
	var name *net.DNSError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var plain tls.RecordHeaderError
	return errors.As(failure, &name) && name.IsNotFound || errors.Is(failure, identity.ErrPin) || errors.As(failure, &invalid) ||
		errors.As(failure, &unknown) || errors.As(failure, &plain)
}

func orManager(peer, manager string) string {
	if peer == "" {
		return manager
	}
	return peer
}
