// Package cli is the command line of hawser-agent: join, leave, status, run, version. It parses arguments, calls the
// packages that do the work, and writes for humans and programs: results on stdout, everything else on stderr.
//
// It decides nothing about the machine.
package cli
