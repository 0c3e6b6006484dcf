// Package cli is the lab's command line, and the sequence by which its parts come up inside the sandbox.
//
// In come arguments; out come text or JSON on stdout, progress on stderr. It is the one package that knows all others
// of the lab; nothing may import it but the main program.
package cli
