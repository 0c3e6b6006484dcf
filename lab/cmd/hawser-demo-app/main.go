// Command hawser-demo-app is any service of the demonstration application.
package main

import (
	"os"

	"github.com/hawser-io/hawser/lab/internal/demo/app"
)

func main() { os.Exit(app.Main(os.Args[1:], os.Stdout, os.Stderr)) }
