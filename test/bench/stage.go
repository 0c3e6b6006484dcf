package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

const (
	namespace = "shop"
	// prefix begins the names of all that the benchmark makes.
	prefix        = "hawser-bench"
	hawserGroup   = prefix + "-agent"
	upstreamGroup = prefix + "-upstream"
	// identity is what the machines and the calling pod run as.
	identity = "spiffe://cluster.local/ns/" + namespace + "/sa/" + prefix
)

//go:embed stage.yaml
var stageManifest string

// stage is what the benchmark adds to the lab: objects of the cluster, and machines.
type stage struct {
	*shell
	// directory is for files that end with the benchmark.
	directory string
	// application is the program that the machines serve with.
	application string
	machines    int
}

func newStage(s *shell, directory string) *stage { return &stage{shell: s, directory: directory} }

// set clears what a killed benchmark has left, and makes the objects of the cluster.
func (s *stage) set(ctx context.Context) error {
	if err := s.clear(ctx); err != nil {
		return err
	}
	s.say("making a group for each way, and a pod that calls the machines")
	manifest, err := s.manifest(ctx)
	if err != nil {
		return err
	}
	if _, err := s.output(ctx, bytes.NewReader(manifest), "kubectl", "apply", "-f", "-"); err != nil {
		return err
	}
	if err := s.run(ctx, "kubectl", "rollout", "status", "-n", namespace, "deployment/"+prefix+"-caller", "--timeout=90s"); err != nil {
		return err
	}
	s.application = filepath.Join(s.directory, "hawser-demo-app")
	return s.run(ctx, "sh", "-c", `cd lab && CGO_ENABLED=0 exec go build -o "$0" ./cmd/hawser-demo-app`, s.application)
}

func (s *stage) manifest(ctx context.Context) ([]byte, error) {
	image, err := s.output(ctx, nil, "kubectl", "get", "deployment", "-n", namespace, "catalog", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	if err != nil {
		return nil, err
	}
	parsed, err := template.New("stage").Parse(stageManifest)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, map[string]any{"Groups": []string{hawserGroup, upstreamGroup}, "Image": image})
	return out.Bytes(), err
}

// clear removes every machine and object of a benchmark; nothing of it has to be there.
func (s *stage) clear(ctx context.Context) error {
	names, err := s.ownMachines(ctx)
	errs := []error{err}
	for _, name := range names {
		errs = append(errs, s.remove(ctx, name))
	}
	errs = append(errs, s.removeMembers(ctx), s.run(ctx, "kubectl", "delete", "-n", namespace, "--ignore-not-found", "--timeout=60s",
		"deployment/"+prefix+"-caller", "workloadgroup/"+hawserGroup, "workloadgroup/"+upstreamGroup, "service/"+prefix, "service/"+prefix+"-caller", "serviceaccount/"+prefix, "machinepolicy/"+prefix))
	return errors.Join(errs...)
}

func (s *stage) ownMachines(ctx context.Context) ([]string, error) {
	out, err := s.output(ctx, nil, "hawser-lab", "vm", "list", "-o", "json")
	if err != nil {
		return nil, err
	}
	var machines []struct{ Name string }
	if err := json.Unmarshal([]byte(out), &machines); err != nil {
		return nil, fmt.Errorf("hawser-lab vm list: %w", err)
	}
	var names []string
	for _, m := range machines {
		if strings.HasPrefix(m.Name, prefix+"-") {
			names = append(names, m.Name)
		}
	}
	return names, nil
}

// removeMembers deletes what the cluster still knows of removed machines, of either way.
func (s *stage) removeMembers(ctx context.Context) error {
	out, err := s.output(ctx, nil, "kubectl", "get", "-n", namespace, "machines,workloadentries,jointokens", "-o",
		`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.spec.group} {.spec.groupName}{"\n"}{end}`)
	if err != nil {
		return err
	}
	var members []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, prefix) {
			members = append(members, strings.ToLower(strings.Fields(line)[0]))
		}
	}
	if len(members) == 0 {
		return nil
	}
	slices.Sort(members)
	return s.run(ctx, "kubectl", append([]string{"delete", "-n", namespace, "--ignore-not-found", "--timeout=60s"}, members...)...)
}

// add makes a machine that serves the benchmark's application, and returns its name.
func (s *stage) add(ctx context.Context) (string, error) {
	s.machines++
	name := fmt.Sprintf("%s-%d", prefix, s.machines)
	if err := s.run(ctx, "hawser-lab", "vm", "add", name); err != nil {
		return "", err
	}
	if err := s.run(ctx, "hawser-lab", "vm", "cp", s.application, name+":/usr/local/bin/hawser-demo-app"); err != nil {
		return "", err
	}
	if err := s.on(ctx, name, "systemd-run", "--quiet", "--unit=hawser-bench", "--property=DynamicUser=yes",
		"/usr/local/bin/hawser-demo-app", "serve", "--app="+prefix, "--listen=:9080"); err != nil {
		return "", err
	}
	return name, until(ctx, 20*time.Second, 50*time.Millisecond, func(ctx context.Context) error {
		return s.on(ctx, name, "curl", "-fsS", "-m", "1", "http://127.0.0.1:9080/healthz")
	})
}

// on runs a command on a machine.
func (s *stage) on(ctx context.Context, machine string, argv ...string) error {
	return s.run(ctx, "hawser-lab", append([]string{"vm", "exec", machine, "--"}, argv...)...)
}

// remove ends a machine.
func (s *stage) remove(ctx context.Context, machine string) error {
	return s.run(ctx, "hawser-lab", "vm", "rm", machine)
}
