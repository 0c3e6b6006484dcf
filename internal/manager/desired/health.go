package desired

import (
	"strings"

	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// health is the group's probe with the defaults of Kubernetes filled in (k8s.io/api, core/v1: Probe), nil without one.
func health(group facts.Group) *hawserv1.Health {
	probe := group.Spec.GetProbe()
	if probe == nil {
		return nil
	}
	wire := &hawserv1.Health{
		InitialDelayMilliseconds: int64(probe.InitialDelaySeconds) * 1000,
		PeriodMilliseconds:       int64(positive(probe.PeriodSeconds, 10)) * 1000,
		TimeoutMilliseconds:      int64(positive(probe.TimeoutSeconds, 1)) * 1000,
		SuccessThreshold:         positive(probe.SuccessThreshold, 1),
		FailureThreshold:         positive(probe.FailureThreshold, 3),
	}
	switch method := probe.HealthCheckMethod.(type) {
	case *v1alpha3.ReadinessProbe_HttpGet:
		wire.Probe = &hawserv1.Health_Http{Http: httpProbe(method.HttpGet)}
	case *v1alpha3.ReadinessProbe_TcpSocket:
		wire.Probe = &hawserv1.Health_Tcp{Tcp: &hawserv1.TcpProbe{Host: method.TcpSocket.Host, Port: method.TcpSocket.Port}}
	case *v1alpha3.ReadinessProbe_Exec:
		wire.Probe = &hawserv1.Health_Exec{Exec: &hawserv1.ExecProbe{Command: method.Exec.Command}}
	case *v1alpha3.ReadinessProbe_Grpc:
		wire.Probe = &hawserv1.Health_Grpc{Grpc: &hawserv1.GrpcProbe{Port: method.Grpc.Port, Service: method.Grpc.Service}}
	default:
		return nil
	}
	return wire
}

func httpProbe(get *networking.HTTPHealthCheckConfig) *hawserv1.HttpProbe {
	probe := &hawserv1.HttpProbe{
		Host:   get.Host,
		Port:   get.Port,
		Path:   "/" + strings.TrimPrefix(get.Path, "/"),
		Scheme: strings.ToUpper(get.Scheme),
	}
	if probe.Scheme == "" {
		probe.Scheme = "HTTP"
	}
	for _, header := range get.HttpHeaders {
		probe.Headers = append(probe.Headers, &hawserv1.EnvVar{Name: header.Name, Value: header.Value})
	}
	return probe
}

func positive(value, otherwise int32) int32 {
	if value > 0 {
		return value
	}
	return otherwise
}
