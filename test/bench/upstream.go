package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// upstreamWay is that of Istio's documentation, "Virtual Machine Installation", with auto-registration: the steps that are to be
// done for each machine, in its order and words. They run as one script, so that no time is lost between two of them.
func upstreamWay(ctx context.Context, s *stage) (way, error) {
	istioctl, err := s.istioctl(ctx)
	if err != nil {
		return way{}, err
	}
	sidecar, err := s.sidecarPackage(ctx)
	if err != nil {
		return way{}, err
	}
	configure := []string{"x", "workload", "entry", "configure", "--name", upstreamGroup, "--namespace", namespace,
		"--clusterID", "Kubernetes", "--autoregister", "--ingressService", "eastwestgateway", "--output"}
	steps := upstreamSteps()
	return way{
		name:      "upstream",
		elsewhere: []string{"istioctl " + strings.Join(configure, " ") + " DIR", "scp -r DIR MACHINE:/root/istio"},
		onMachine: steps,
		copied: func(ctx context.Context, machine string) error {
			return s.run(ctx, "hawser-lab", "vm", "cp", sidecar, machine+":/root/istio-sidecar.deb")
		},
		install: func(ctx context.Context, machine string) error {
			return s.on(ctx, machine, "dpkg", "-i", "/root/istio-sidecar.deb")
		},
		prepare: func(ctx context.Context, machine string) (string, error) {
			directory := filepath.Join(s.directory, machine)
			if err := os.Mkdir(directory, 0o700); err != nil {
				return "", err
			}
			if err := s.run(ctx, istioctl, append(configure, directory)...); err != nil {
				return "", err
			}
			return "", s.run(ctx, "sh", "-c", `tar -C "$0" -c . | hawser-lab vm exec "$1" -- sh -c 'mkdir /root/istio && tar -C /root/istio -x'`, directory, machine)
		},
		join: func(ctx context.Context, machine, _ string) error {
			return s.on(ctx, machine, "sh", "-c", "set -e\n"+strings.Join(steps, "\n"))
		},
	}, nil
}

// upstreamSteps are the commands on the machine, as root. The sample says sudo before each.
func upstreamSteps() []string {
	return []string{
		"mkdir -p /etc/certs",
		"cp /root/istio/root-cert.pem /etc/certs/root-cert.pem",
		"mkdir -p /var/run/secrets/tokens",
		"cp /root/istio/istio-token /var/run/secrets/tokens/istio-token",
		"cp /root/istio/cluster.env /var/lib/istio/envoy/cluster.env",
		"cp /root/istio/mesh.yaml /etc/istio/config/mesh",
		"cat /root/istio/hosts >> /etc/hosts",
		"mkdir -p /etc/istio/proxy",
		"chown -R istio-proxy /var/lib/istio /etc/certs /etc/istio/proxy /etc/istio/config /var/run/secrets /etc/certs/root-cert.pem",
		"systemctl start istio",
	}
}

// istioModule names Istio's module in the version that the lab runs.
const istioModule = "istio.io/istio"

// istioctl builds the command in the lab's version, once: it stays in the build cache. Its module is built by itself, as the
// lab's does not pin what istioctl alone needs.
func (s *stage) istioctl(ctx context.Context) (string, error) {
	version, err := s.output(ctx, nil, "go", "list", "-C", "lab", "-m", "-f", "{{.Version}}", istioModule)
	if err != nil {
		return "", err
	}
	version = strings.TrimSpace(version)
	cache := os.Getenv("HAWSER_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the build cache: %w; set HAWSER_CACHE to a directory", err)
		}
		cache = filepath.Join(base, "hawser")
	}
	directory := filepath.Join(cache, "istioctl-"+version)
	binary := filepath.Join(directory, "istioctl")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	s.say("building istioctl %s: minutes, the first time", version)
	building, err := os.MkdirTemp(s.directory, "istioctl-")
	if err != nil {
		return "", err
	}
	if err := s.run(ctx, "env", "CGO_ENABLED=0", "GOBIN="+building, "GOFLAGS=-trimpath",
		"go", "install", "-ldflags", "-s -w", istioModule+"/istioctl/cmd/istioctl@"+version); err != nil {
		return "", err
	}
	return binary, errors.Join(os.MkdirAll(directory, 0o755), s.run(ctx, "cp", filepath.Join(building, "istioctl"), binary+".new"),
		os.Rename(binary+".new", binary))
}
