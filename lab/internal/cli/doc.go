// Package cli is the lab's command line.
//
// In come arguments; out come text or JSON on stdout, progress on stderr. It builds what a lab needs and asks the lab that runs; what runs inside the
// sandbox is package lab, in a program of its own. It must not import what is slow to start: tests run it thousands of times.
package cli
