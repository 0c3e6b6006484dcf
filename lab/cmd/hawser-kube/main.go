// Command hawser-kube is the lab's Kubernetes in one binary. Its first argument, or the name that it is
// called by, selects the program: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet,
// kube-proxy or kubectl. One binary links the shared packages once, which saves minutes and 500 MB.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() { os.Exit(run()) }

// run takes the program's name off the arguments and gives the rest to that program.
func run() int {
	name := filepath.Base(os.Args[0])
	build, known := programs()[name]
	if !known {
		if len(os.Args) < 2 {
			return usage("no program named")
		}
		name = os.Args[1]
		if build, known = programs()[name]; !known {
			return usage("no program " + name)
		}
		os.Args = slices.Concat([]string{name}, os.Args[2:])
	}
	return cli.Run(build())
}

func programs() map[string]func() *cobra.Command {
	return map[string]func() *cobra.Command{
		"etcd":                    newEtcdCommand,
		"kube-apiserver":          apiserver.NewAPIServerCommand,
		"kube-controller-manager": controllermanager.NewControllerManagerCommand,
		"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
		"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
		"kube-proxy":              proxy.NewProxyCommand,
		"kubectl":                 kubectl.NewDefaultKubectlCommand,
	}
}

func usage(problem string) int {
	names := make([]string, 0, len(programs()))
	for name := range programs() {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintf(os.Stderr, "hawser-kube: %s; the first argument is one of %v\n", problem, names)
	return 2
}
