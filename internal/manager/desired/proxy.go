package desired

import (
	"fmt"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// defaultArchitecture is assumed until the agent has told its own.
const defaultArchitecture = "amd64"

func proxyFiles(f facts.Facts, image string, machine facts.Machine) (*hawserv1.Proxy, *facts.Problem) {
	key := facts.ProxyKey{Image: image, Architecture: machine.Architecture}
	if key.Architecture == "" {
		key.Architecture = defaultArchitecture
	}
	state, ok := f.Proxies[key]
	switch {
	case !ok:
		return nil, &facts.Problem{
			Reason:  facts.ReasonProxyPending,
			Message: fmt.Sprintf("image %s for %s is being pulled", key.Image, key.Architecture),
			Next:    "wait: the machine gets its state as soon as the image is there",
		}
	case state.Problem != nil:
		return nil, state.Problem
	}
	proxy := &hawserv1.Proxy{
		Image:       image,
		ImageDigest: state.Proxy.Digest,
		Version:     state.Proxy.Version,
		MinGlibc:    state.Proxy.MinGlibc,
	}
	for _, file := range state.Proxy.Files {
		proxy.Files = append(proxy.Files, &hawserv1.ProxyFile{
			Role:           wireRole(file.Role),
			Path:           file.Path,
			Sha256:         file.SHA256,
			Size:           file.Size,
			CompressedSize: file.CompressedSize,
			Executable:     file.Executable,
		})
	}
	return proxy, nil
}

func wireRole(role facts.FileRole) hawserv1.ProxyFile_Role {
	switch role {
	case facts.RolePilotAgent:
		return hawserv1.ProxyFile_ROLE_PILOT_AGENT
	case facts.RoleEnvoy:
		return hawserv1.ProxyFile_ROLE_ENVOY
	case facts.RoleBootstrapTemplate:
		return hawserv1.ProxyFile_ROLE_BOOTSTRAP_TEMPLATE
	default:
		return hawserv1.ProxyFile_ROLE_OTHER
	}
}
