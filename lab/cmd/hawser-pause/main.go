// Command hawser-pause holds a pod's namespaces open: it waits for a signal to end and reaps the pod's orphans.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() { pause() }

func pause() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
