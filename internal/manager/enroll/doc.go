// Package enroll takes hosts in: it exchanges a join token and a signing request for a client certificate, and renews that. What comes in
// are the two calls of EnrollmentService, the facts, and the objects JoinToken and Machine; what goes out are a certificate, a Machine
// and a note on the token, or a refusal that says what to do next. Everything that can be refused is refused before anything is
// written. It delivers no state and does not speak to Istio.
package enroll
