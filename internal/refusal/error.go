package refusal

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Domain of Hawser's reasons in google.rpc.ErrorInfo.
const Domain = "hawser.io"

// Keys of google.rpc.ErrorInfo.metadata that are not attributes.
const (
	keyNext  = "_next"
	keyRetry = "_retry"
)

// Error is a refusal. Compare with Is: errors.Is(err, refusal.TokenUsed) holds for each refusal with that reason.
type Error struct {
	Reason Reason
	// Message: what happened, on which object. Next: what to do.
	Message, Next string
	// Attributes by name; never a secret.
	Attributes map[string]string
	// Retry: the same call may succeed later although nobody did anything.
	Retry bool
	code  codes.Code
	cause error
}

// New makes a refusal of a reason that has a text in the table; attributes are names and values in turn, as in slog. An attribute
// that the text has and the call does not give shows as {name}, which a test of each caller's would find.
func New(reason Reason, attributes ...any) *Error {
	e := newError(reason)
	for i := 0; i+1 < len(attributes); i += 2 {
		e.Attributes[fmt.Sprint(attributes[i])] = fmt.Sprint(attributes[i+1])
	}
	row := table()[reason]
	e.Message, e.Next = fillIn(row.message, e.Attributes), fillIn(row.next, e.Attributes)
	return e
}

// Found makes a refusal of what somebody else found and worded.
func Found(reason Reason, message, next string) *Error {
	e := newError(reason)
	e.Message, e.Next = message, next
	return e
}

func newError(reason Reason) *Error {
	row, ok := table()[reason]
	if !ok {
		row = entry{code: codes.FailedPrecondition}
	}
	return &Error{Reason: reason, Retry: row.retry, code: row.code, Attributes: map[string]string{}}
}

// Error gives message and next step.
func (e *Error) Error() string {
	if e.Next == "" {
		return e.Message
	}
	return e.Message + ": " + e.Next
}

// Because keeps the error behind a refusal for logs on this side; it does not go over the wire.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// Unwrap returns the error behind the refusal, nil if there is none.
func (e *Error) Unwrap() error { return e.cause }

// Error makes a Reason a target for errors.Is.
func (r Reason) Error() string { return string(r) }

// Is makes errors.Is(err, reason) work.
func (e *Error) Is(target error) bool {
	reason, ok := target.(Reason)
	return ok && reason == e.Reason
}

// GRPCStatus makes a handler's returned *Error go over the wire whole.
func (e *Error) GRPCStatus() *status.Status {
	metadata := map[string]string{keyNext: e.Next}
	for name, value := range e.Attributes {
		metadata[name] = value
	}
	if e.Retry {
		metadata[keyRetry] = "true"
	}
	plain := status.New(e.code, e.Message)
	detailed, err := plain.WithDetails(&errdetails.ErrorInfo{Reason: string(e.Reason), Domain: Domain, Metadata: metadata})
	if err != nil {
		// Only text that is not UTF-8 cannot be encoded.
		return plain
	}
	return detailed
}

// FromError finds the refusal in an error: one made here, or the status of a call.
func FromError(err error) (*Error, bool) {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e, true
	}
	s, ok := status.FromError(err)
	if !ok || s.Code() == codes.OK {
		return nil, false
	}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == Domain {
			return fromInfo(s, info), true
		}
	}
	return nil, false
}

func fromInfo(s *status.Status, info *errdetails.ErrorInfo) *Error {
	e := &Error{Reason: Reason(info.GetReason()), Message: s.Message(), code: s.Code(), Attributes: map[string]string{}}
	for name, value := range info.GetMetadata() {
		switch name {
		case keyNext:
			e.Next = value
		case keyRetry:
			e.Retry = value == "true"
		default:
			e.Attributes[name] = value
		}
	}
	return e
}

func fillIn(text string, attributes map[string]string) string {
	var pairs []string
	for name, value := range attributes {
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
