package fanout

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running manager.
type process struct {
	command *exec.Cmd
	// address that machines connect to.
	address string
	ended   chan struct{}
}

// startManager starts a manager and returns when it serves machines. A second one takes the address of the first.
func startManager(ctx context.Context, program string, c *cluster) (*process, error) {
	log, err := os.OpenFile(filepath.Join(c.directory, "manager.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	// The process has a descriptor of its own.
	defer func() { _ = log.Close() }()
	p := &process{address: c.managerAddress, ended: make(chan struct{})}
	p.command = exec.Command(program, "--kubeconfig", c.kubeconfig, "--namespace", hawserNamespace, "--pod-name", "hawser-manager-0",
		"--cache-dir", filepath.Join(c.directory, "cache"), "--plain-http-registry", "--grpc-address", c.managerAddress,
		"--health-address", c.healthAddress, "--metrics-address", "0")
	p.command.Stderr = log
	// An interrupt from the terminal reaches the benchmark alone, which ends it.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		// Its exit code says nothing: it is killed in the end.
		_ = p.command.Wait()
		close(p.ended)
	}()
	if err := p.serving(ctx, c.healthAddress); err != nil {
		p.kill()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w; it said: %s", err, text[max(0, len(text)-2000):])
	}
	return p, nil
}

// serving waits for the readiness probe.
func (p *process) serving(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.ended:
			return errors.New("the manager ended")
		default:
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("the manager does not get ready: %w", err)
		}
	}
}

// kill is kill -9. It returns when the process is gone; a second call does nothing.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// memory is a line of /proc/PID/status, in bytes.
func (p *process) memory(line string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	return statusLine(string(text), line)
}

func statusLine(text, line string) (float64, error) {
	for l := range strings.Lines(text) {
		if fields := strings.Fields(l); len(fields) == 3 && fields[0] == line+":" {
			kilobytes, err := strconv.ParseFloat(fields[1], 64)
			return kilobytes * 1024, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc/PID/status", line)
}

// processorTime that it has used so far.
func (p *process) processorTime() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.command.Process.Pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no threads of the manager: %w", err)
	}
	var sum int64
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		ran, _, _ := strings.Cut(string(text), " ")
		nanoseconds, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += nanoseconds
	}
	return time.Duration(sum), nil
}

// freeAddress is one of loopback that nobody listens on now.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// raiseFileLimit makes room for a connection of each agent.
func raiseFileLimit(agents int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	need := uint64(agents + 1000)
	if limit.Cur >= need {
		return nil
	}
	limit.Cur, limit.Max = need, max(need, limit.Max)
	return fail(fmt.Sprintf("allow %d open files (as root, or after ulimit -n)", need), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
}
