package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// Main runs one of the sandbox's processes, which the only argument names, and returns its exit status.
func Main(arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := process(ctx, sandbox.DefaultLayout(), arguments); err != nil {
		fmt.Fprintln(os.Stderr, "hawser-lab-sandbox:", err)
		return 1
	}
	return 0
}

func process(ctx context.Context, layout sandbox.Layout, arguments []string) error {
	if len(arguments) == 1 {
		switch arguments[0] {
		case sandbox.EnterCommand:
			return sandbox.Enter(layout)
		case sandbox.InitCommand:
			return sandbox.Init(layout)
		case sandbox.SuperviseCommand:
			return supervise(ctx, layout, os.Stdin)
		}
	}
	return errors.New("this program is run by `hawser-lab up`: use that")
}
