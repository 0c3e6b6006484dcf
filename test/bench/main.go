// Command bench measures Hawser in the real lab through the public commands alone, beside what a user would have without it.
//
// In come the lab that scripts/demo brings up and the built binaries and packages; out comes one JSON line per figure on the
// standard output, and progress on the standard error. It makes machines and objects of its own, named hawser-bench, and removes
// them in the end. It judges nothing: bounds are the reader's business, as a busy computer is slower than an idle one. It must not
// import the product's code; the package fanout, which has a manager and an API server of its own and no lab, does.
package main

import "os"

func main() { os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr)) }
