package facts

// ProxyKey names the files of a proxy: the image that they come from, and the architecture that they are for.
type ProxyKey struct {
	// Image is a reference with a tag or digest ("docker.io/istio/proxyv2:1.31.0").
	Image string
	// Architecture in Go's terms.
	Architecture string
}

// ProxyState is what came of pulling an image: exactly one of the two is set.
type ProxyState struct {
	Proxy   *Proxy
	Problem *Problem
}

// Proxy is the files of one image for one architecture.
type Proxy struct {
	ProxyKey
	// Digest of the manifest for the architecture ("sha256:…").
	Digest string
	// Version of Istio that pilot-agent was built as ("1.31.0").
	Version string
	// MinGlibc is the oldest GNU C library that the binaries run with ("2.31"), empty if they are static.
	MinGlibc string
	// Files sorted by path.
	Files []ProxyFile
}

// ProxyFile is one file of a proxy.
type ProxyFile struct {
	Role FileRole
	// Path relative to the version's directory on the machine.
	Path string
	// SHA256 of the content, lower-case hex.
	SHA256 string
	// Size of the content and of its zstd form, bytes.
	Size           int64
	CompressedSize int64
	Executable     bool
}

// FileRole says what a proxy's file is for.
type FileRole string

// The roles that each proxy has exactly one file of.
const (
	RolePilotAgent        FileRole = "pilot-agent"
	RoleEnvoy             FileRole = "envoy"
	RoleBootstrapTemplate FileRole = "bootstrap-template"
)
