// Command hawser-lab-sandbox is what runs inside the sandbox that `hawser-lab up` makes. It is a program of its own since hawser-lab is started thousands of
// times by tests, and what a lab is made of takes a while to get going.
package main

import (
	"os"

	"github.com/hawser-io/hawser/lab/internal/lab"
)

func main() { os.Exit(lab.Main(os.Args[1:])) }
