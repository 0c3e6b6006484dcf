package bundle

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// problemOf says what a failed step means for somebody who can do something about it.
func problemOf(key facts.ProxyKey, step string, err error) error {
	problem := &facts.Problem{
		Reason:  facts.ReasonImageUnavailable,
		Message: fmt.Sprintf("image %s for %s: %s: %v", key.Image, key.Architecture, step, err),
		Next:    "check that the manager reaches the registry; it tries again by itself",
	}
	refusal, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return problem
	}
	switch refusal.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		problem.Reason = facts.ReasonImageUnauthorized
		problem.Message = fmt.Sprintf("the registry does not let the manager pull image %s (HTTP status %d)", key.Image, refusal.StatusCode)
		problem.Next = "name a pull secret for the registry in the manager's chart (registry.pullSecret), and check that the image exists: " +
			"some registries answer like this when it does not"
	case http.StatusNotFound:
		problem.Message = fmt.Sprintf("image %s does not exist in its registry", key.Image)
		problem.Next = "push it, or correct hub and tag of the Istio revision"
	}
	return problem
}

func unsupported(key facts.ProxyKey, has []string) error {
	return &facts.Problem{
		Reason:  facts.ReasonArchitectureUnsupported,
		Message: fmt.Sprintf("image %s is not for %s (it is for: %s)", key.Image, key.Architecture, strings.Join(has, ", ")),
		Next:    "use an image of Istio that is built for the machine's architecture",
	}
}

func invalid(key facts.ProxyKey, format string, arguments ...any) error {
	return &facts.Problem{
		Reason:  facts.ReasonImageInvalid,
		Message: fmt.Sprintf("image %s for %s: ", key.Image, key.Architecture) + fmt.Sprintf(format, arguments...),
		Next:    "use a proxyv2 image of Istio, or one that keeps its files where that has them",
	}
}
