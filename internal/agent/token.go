package agent

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// claims are what a token says of itself (RFC 7519). The signature is the reader's business, not ours.
type claims struct {
	// Expiry in Unix seconds, 0 if there is none.
	Expiry int64 `json:"exp"`
	// Subject of a ServiceAccount's token is system:serviceaccount:NAMESPACE:NAME (k8s.io/apiserver, pkg/authentication/serviceaccount).
	Subject string `json:"sub"`
	// Kubernetes is what the API server adds (k8s.io/kubernetes, pkg/serviceaccount: privateClaims).
	Kubernetes struct {
		// Secret that the token is bound to.
		Secret struct {
			UID string `json:"uid"`
		} `json:"secret"`
	} `json:"kubernetes.io"`
}

// claimsOf reads the claims of a JWT; what is none has none.
func claimsOf(token string) claims {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return claims{}
	}
	return c
}

// account is the name of the ServiceAccount, empty if the token is not of one.
func (c claims) account() string {
	name, ok := strings.CutPrefix(c.Subject, "system:serviceaccount:")
	if !ok {
		return ""
	}
	_, name, _ = strings.Cut(name, ":")
	return name
}
