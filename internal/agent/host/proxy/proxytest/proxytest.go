// Package proxytest stands in for pilot-agent and Envoy where a test needs a host with a proxy and no mesh: it takes the same
// arguments and environment, answers for its health, resolves one name, and writes an access log. Traffic rules are set by
// Istio's own pilot-agent. It must not be used outside of tests.
package proxytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// Program names Istio's own pilot-agent in the environment, or else it is at DefaultProgram.
const (
	Program        = "HAWSER_TEST_PILOT_AGENT"
	DefaultProgram = "/usr/local/bin/pilot-agent"
)

// Known are the names that the stand-in resolves.
func known() map[string][4]byte {
	web := [4]byte{10, 96, 0, 77}
	return map[string][4]byte{"web.shop.svc.cluster.local.": web, "web.shop.svc.": web}
}

// Main is pilot-agent's main. It returns the exit code.
func Main(args []string) int {
	err := fmt.Errorf("arguments %q", args)
	switch {
	case len(args) > 0 && args[0] == "istio-iptables":
		program := DefaultProgram
		if path := os.Getenv(Program); path != "" {
			program = path
		}
		err = syscall.Exec(program, append([]string{program}, args...), os.Environ())
	case len(args) == 2 && args[0] == "proxy" && args[1] == "sidecar":
		err = proxy()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "proxytest:", err)
		return 1
	}
	return 0
}

func proxy() error {
	var config struct {
		StatusPort                             int
		BinaryPath, ProxyBootstrapTemplatePath string
	}
	if err := json.Unmarshal([]byte(os.Getenv("PROXY_CONFIG")), &config); err != nil {
		return err
	}
	for _, path := range []string{config.BinaryPath, config.ProxyBootstrapTemplatePath, "./etc/istio/config/mesh", "./var/run/secrets/istio/root-cert.pem", "/etc/resolv.conf"} {
		if _, err := os.ReadFile(path); err != nil {
			return err
		}
	}
	for _, path := range []string{"./etc/istio/proxy/envoy-rev.json", "./etc/certs/key.pem", "./var/run/secrets/workload-spiffe-uds/socket"} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
	}
	accessLog, err := os.OpenFile("/dev/stdout", os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	fmt.Fprintln(accessLog, "access log opened as /dev/stdout")
	ended := make(chan error, 3)
	for _, port := range []int{config.StatusPort, 15021} {
		go func() { ended <- serve(port) }()
	}
	go func() { ended <- resolve(os.Getenv("DNS_PROXY_ADDR")) }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	select {
	case err := <-ended:
		return err
	case <-stop:
		return nil
	}
}

// serve shares its port with the proxy in the other slot, as Envoy does.
func serve(port int) error {
	shared := net.ListenConfig{Control: func(_, _ string, connection syscall.RawConn) (err error) {
		controlled := connection.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(controlled, err)
	}}
	listener, err := shared.Listen(context.Background(), "tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return err
	}
	return http.Serve(listener, http.HandlerFunc(ready))
}

func ready(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/healthz/ready" {
		http.NotFound(w, r)
	}
}

// resolve answers for known names and passes all else to the first server of /etc/resolv.conf, as pilot-agent does.
func resolve(address string) error {
	connection, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	packet := make([]byte, 4096)
	for {
		n, from, err := connection.ReadFrom(packet)
		if err != nil {
			return err
		}
		answer, err := respond(packet[:n])
		if err != nil {
			fmt.Fprintln(os.Stderr, "lookup:", err)
			continue
		}
		if _, err := connection.WriteTo(answer, from); err != nil {
			fmt.Fprintln(os.Stderr, "lookup:", err)
		}
	}
}

func respond(packet []byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(packet); err != nil {
		return nil, err
	}
	question := message.Questions[0]
	address, ok := known()[strings.ToLower(question.Name.String())]
	if !ok {
		return forward(packet)
	}
	message.Response, message.Authoritative, message.Additionals = true, true, nil
	if question.Type == dnsmessage.TypeA {
		message.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 30},
			Body:   &dnsmessage.AResource{A: address},
		}}
	}
	return message.Pack()
}

func forward(packet []byte) ([]byte, error) {
	content, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(content), "nameserver ")
	server, _, _ := strings.Cut(rest, "\n")
	connection, err := net.Dial("udp", net.JoinHostPort(server, "53"))
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	if _, err := connection.Write(packet); err != nil {
		return nil, err
	}
	answer := make([]byte, 4096)
	n, err := connection.Read(answer)
	return answer[:n], err
}
