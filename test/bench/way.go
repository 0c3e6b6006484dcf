package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// way is how a machine becomes a member of the mesh.
type way struct {
	name string
	// elsewhere and onMachine are the commands that a person types for one machine: where the cluster's credentials are, and on
	// the machine. Installing a package is one command either way, and in neither list.
	elsewhere, onMachine []string
	// copied puts the package's file on a machine, and install installs it from there.
	copied, install func(ctx context.Context, machine string) error
	// prepare runs the commands elsewhere; what it returns is handed to join.
	prepare func(ctx context.Context, machine string) (secret string, err error)
	// join runs the commands on the machine.
	join func(ctx context.Context, machine, secret string) error
}

func (w way) commands() int { return len(w.elsewhere) + len(w.onMachine) }

// hawserWay is the product's.
func hawserWay(ctx context.Context, s *stage) (way, error) {
	pattern := filepath.Join(s.root, "dist", "hawser-agent_*_"+runtime.GOARCH+".deb")
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		return way{}, fmt.Errorf("no package %s: run `make packages`", pattern)
	}
	newest := found[0]
	for _, path := range found[1:] {
		if modified(path) > modified(newest) {
			newest = path
		}
	}
	gateway, err := s.output(ctx, nil, "hawser-lab", "gateway", "address", "--name")
	if err != nil {
		return way{}, err
	}
	gateway = strings.TrimSpace(gateway)
	return way{
		name:      "hawser",
		elsewhere: []string{"hawser token create --group " + namespace + "/" + hawserGroup},
		onMachine: []string{"hawser-agent join --manager " + gateway + " --token …"},
		copied: func(ctx context.Context, machine string) error {
			return s.run(ctx, "hawser-lab", "vm", "cp", newest, machine+":/root/hawser-agent.deb")
		},
		install: func(ctx context.Context, machine string) error {
			return s.on(ctx, machine, "apt-get", "install", "-y", "-qq", "/root/hawser-agent.deb")
		},
		prepare: func(ctx context.Context, machine string) (string, error) {
			return s.output(ctx, nil, "hawser", "token", "create", "--group", namespace+"/"+hawserGroup, "--hostname", machine, "-o", "token")
		},
		join: func(ctx context.Context, machine, token string) error {
			_, err := s.output(ctx, strings.NewReader(token), "hawser-lab", "vm", "exec", machine, "--",
				"hawser-agent", "join", "--manager", gateway, "--token-file", "-")
			return err
		},
	}, nil
}

func modified(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.ModTime().UnixNano()
}
