package problem

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// Request is a request to the Kubernetes API.
type Request struct {
	// Verb of RBAC: get, list, watch, create, patch.
	Verb string
	// Resource is the plural, Group its API group, empty for the core group.
	Resource, Group string
	// Namespace is empty for all namespaces.
	Namespace string
	// Name is empty for lists.
	Name string
}

// install is how to get Hawser into a cluster.
const install = "helm install hawser deploy/helm/hawser -n hawser-system --create-namespace"

// Of explains why the request failed. It returns nil for nil, and a Problem as it is.
func (r Request) Of(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if p := (*Problem)(nil); errors.As(err, &p) {
		return err
	}
	p := r.explain(err)
	p.Cause = err
	return p
}

func (r Request) explain(err error) *Problem {
	switch {
	case apierrors.IsUnauthorized(err):
		return New("kubectl auth whoami", "the cluster does not accept the credentials of this kubeconfig: they are wrong or have expired")
	case apierrors.IsForbidden(err):
		return New(r.canI(), "you may not %s", r)
	case r.missingKind(err):
		return r.explainMissingKind()
	case apierrors.IsNotFound(err):
		return New(r.lister(), "there is no %s %q%s", r.singular(), r.Name, r.where())
	case apierrors.IsAlreadyExists(err):
		return New(r.lister(), "%s %q%s exists already", r.singular(), r.Name, r.where())
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return New("kubectl explain "+r.Resource+".spec", "the cluster refuses the %s: %s", r.singular(), causes(err))
	case apierrors.IsConflict(err):
		return New("the same command again", "%s %q%s was changed by somebody else at the same time", r.singular(), r.Name, r.where())
	}
	if p := Connection(err); p != nil {
		return p
	}
	return New("kubectl cluster-info", "cannot %s: %v", r, err)
}

// missingKind: the API server does not know the resource at all, as opposed to one object of it.
func (r Request) missingKind(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details == nil || details.Name == "" || hasCause(details, metav1.CauseTypeUnexpectedServerResponse)
}

func hasCause(details *metav1.StatusDetails, cause metav1.CauseType) bool {
	for _, c := range details.Causes {
		if c.Type == cause {
			return true
		}
	}
	return false
}

func (r Request) explainMissingKind() *Problem {
	switch r.Group {
	case "networking.istio.io":
		return New("kubectl get deployments -A -l app=istiod", "this cluster has no Istio: it does not know the kind WorkloadGroup")
	case "hawser.io":
		return New(install, "this cluster has no Hawser: it does not know the resource %s.%s", r.Resource, r.Group)
	}
	return New("kubectl api-resources", "this cluster does not know the resource %s", r.Resource)
}

// Connection explains errors that come before any answer of an API server, and returns nil for others.
func Connection(err error) *Problem {
	var (
		unreachable *url.Error
		network     net.Error
	)
	switch {
	case clientcmd.IsEmptyConfig(err):
		return New("kubectl config get-contexts, or --kubeconfig FILE, or export KUBECONFIG=FILE", "no cluster is configured")
	case clientcmd.IsContextNotFound(err):
		return New("kubectl config get-contexts", "%s", strings.TrimPrefix(err.Error(), "invalid configuration: "))
	case clientcmd.IsConfigurationInvalid(err):
		return New("kubectl config view", "the kubeconfig is not valid: %v", err)
	case errors.As(err, &unreachable):
		host := unreachable.URL
		if u, parse := url.Parse(unreachable.URL); parse == nil {
			host = u.Scheme + "://" + u.Host
		}
		return New("kubectl cluster-info", "cannot reach the cluster at %s: %v", host, unreachable.Err)
	case errors.As(err, &network):
		return New("kubectl cluster-info", "cannot reach the cluster: %v", err)
	}
	return nil
}

// String reads "create jointokens.hawser.io in namespace shop".
func (r Request) String() string {
	text := r.Verb + " " + r.resource()
	// RBAC knows no names of objects that are yet to be made.
	if r.Name != "" && r.Verb != "create" {
		text += fmt.Sprintf(" %q", r.Name)
	}
	return text + r.where()
}

func (r Request) resource() string {
	if r.Group == "" {
		return r.Resource
	}
	return r.Resource + "." + r.Group
}

func (r Request) where() string {
	if r.Namespace == "" {
		return " in all namespaces"
	}
	return " in namespace " + r.Namespace
}

func (r Request) scope() string {
	if r.Namespace == "" {
		return " -A"
	}
	return " -n " + r.Namespace
}

func (r Request) canI() string {
	return "kubectl auth can-i " + r.Verb + " " + r.resource() + r.scope() + "   (and ask for the role in docs/guide/rbac.md)"
}

// lister is the command that shows which objects there are.
func (r Request) lister() string {
	switch r.Resource {
	case "machines":
		return "hawser get machines" + r.scope()
	case "workloadgroups":
		return "hawser get groups" + r.scope()
	case "jointokens":
		return "hawser token list" + r.scope()
	}
	return "kubectl get " + r.resource() + r.scope()
}

func (r Request) singular() string {
	switch r.Resource {
	case "machines":
		return "machine"
	case "workloadgroups":
		return "WorkloadGroup"
	case "jointokens":
		return "join token"
	}
	return strings.TrimSuffix(r.Resource, "s")
}

// causes are the API server's words for each field that it refuses, without the frame around them.
func causes(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil || len(status.Status().Details.Causes) == 0 {
		return err.Error()
	}
	var all []string
	for _, cause := range status.Status().Details.Causes {
		text := cause.Message
		if cause.Field != "" && cause.Field != "<nil>" {
			text = cause.Field + ": " + text
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}
