// Package archtest holds the rules that keep the structure of the code: who may import whom, what a package has to say about
// itself, and how large a file may grow. It contains tests only and must not be imported.
package archtest
