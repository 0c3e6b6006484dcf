package cli

import (
	"errors"

	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/join"
	"github.com/hawser-io/hawser/internal/refusal"
)

// Exit codes, as documented in the root command's help.
const (
	codeDone        = 0
	codeFailed      = 1
	codeUsage       = 2
	codeRefused     = 3
	codeUnreachable = 4
	codeUnfit       = 5
)

// usageError says that the command line is wrong.
type usageError struct{ err error }

func (u *usageError) Error() string { return u.err.Error() + "\nSee 'hawser-agent --help'." }

func (u *usageError) Unwrap() error { return u.err }

func exitCode(err error) int {
	var (
		usage       *usageError
		unfit       *join.Unfit
		unreachable *dial.Unreachable
		notReady    *join.NotReady
	)
	switch {
	case err == nil:
		return codeDone
	case errors.As(err, &usage):
		return codeUsage
	case errors.As(err, &unfit):
		return codeUnfit
	case errors.As(err, &unreachable):
		return codeUnreachable
	case errors.As(err, &notReady):
		return notReadyCode(notReady)
	}
	if _, refused := refusal.FromError(err); refused {
		return codeRefused
	}
	return codeFailed
}

// notReadyCode tells whose fault it is that a joined machine is not ready.
func notReadyCode(n *join.NotReady) int {
	switch connection := n.Status.Facts.Connection; {
	case n.Status.Agent == "" || connection.Up:
		return codeFailed
	case connection.Reason != "":
		return codeRefused
	default:
		return codeUnreachable
	}
}
