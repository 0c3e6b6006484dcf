package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Variables that have a part of the stamp of their own.
const (
	variableAccount = "SERVICE_ACCOUNT"
	variableAddress = "INSTANCE_IP"
	variableLookups = "ISTIO_META_DNS_CAPTURE"
)

func dnsAddress(slot Slot) string { return fmt.Sprintf("127.0.0.1:%d", slot.Ports().DNS) }

// environment is cluster.env and what the host adds to it (istio.io/istio, pilot/cmd/pilot-agent/options).
func (p *planner) environment() map[string]string {
	variables := map[string]string{}
	for _, variable := range p.want.GetMesh().GetEnvironment() {
		variables[variable.GetName()] = variable.GetValue()
	}
	maps.Copy(variables, map[string]string{
		variableAddress:  p.have.Address,
		"PROXY_CONFIG":   p.proxyConfig(),
		"DNS_PROXY_ADDR": fmt.Sprintf("localhost:%d", p.slot.Ports().DNS),
		variableLookups:  fmt.Sprint(p.mesh != NoLookups),
		// The certificate is kept, so that the proxy comes back by it when its token has expired meanwhile.
		"PROV_CERT":    "./etc/certs",
		"OUTPUT_CERTS": "./etc/certs",
		// The roots are kept apart from what the proxy writes.
		"XDS_ROOT_CA": "./" + rootsFile,
		"CA_ROOT_CA":  "./" + rootsFile,
	})
	return variables
}

// proxyConfig overrides mesh.yaml: where the slot's files are, its ports, the time to drain.
func (p *planner) proxyConfig() string {
	ports := p.slot.Ports()
	// A map of these always encodes, with sorted keys.
	encoded, _ := json.Marshal(map[string]any{
		"binaryPath":                 "./version/envoy",
		"configPath":                 "./etc/istio/proxy",
		"proxyBootstrapTemplatePath": "./version/envoy_bootstrap.json",
		"proxyAdminPort":             ports.Admin,
		"statusPort":                 ports.Status,
		"drainDuration":              fmt.Sprintf("%ds", closeSeconds(p.want.GetUnit())),
		"terminationDrainDuration":   fmt.Sprintf("%ds", drainSeconds(p.want.GetUnit())),
	})
	return string(encoded)
}

// environmentFile is proxy.env in the syntax of EnvironmentFile= (systemd.exec(5)).
func (p *planner) environmentFile() []byte {
	var text bytes.Buffer
	variables := p.environment()
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		fmt.Fprintf(&text, "%s=%s\n", name, quote(variables[name]))
	}
	fmt.Fprintf(&text, "%s=%s\n", VariableConfiguration, quote(p.stamp()))
	return text.Bytes()
}

// quote writes a value so that systemd reads exactly the same: within double quotes it undoes a backslash before these four
// characters and takes everything else as it is (systemd, src/basic/env-file.c).
func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(value) + `"`
}
