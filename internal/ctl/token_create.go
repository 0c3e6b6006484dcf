package ctl

import (
	"context"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/ctl/cluster"
	"github.com/hawser-io/hawser/internal/ctl/problem"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/jointoken"
)

// Bounds of a token's life. A token is for joining now, not for keeping.
const (
	shortest = time.Minute
	longest  = 30 * 24 * time.Hour
)

// tokenRequest is what `token create` was asked for.
type tokenRequest struct {
	group    string
	ttl      time.Duration
	uses     int32
	hostname string
	cidrs    []string
	manager  string
}

func (t *tool) tokenCreateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "create --group [NAMESPACE/]NAME",
		Short: "Make a join token, and print the commands to run on the machine",
		Long: "Makes a join token for a WorkloadGroup and prints the commands that install the agent on a machine and join it.\n\n" +
			"The token's secret is made here and shown once; the cluster gets its hash. By default one machine can join within an hour.",
		Example: "  hawser token create --group shop/ratings\n" +
			"  hawser token create --group shop/ratings --hostname ratings-vm-1 --ttl 10m\n" +
			"  hawser token create --group ratings -n shop --uses 20 --cidr 10.1.0.0/16\n" +
			"  hawser token create --group shop/ratings -o token | ssh root@ratings-vm-1 \\\n" +
			"    hawser-agent join --manager gateway.example.com --token-file -",
		Args: arguments(0, 0, ""),
	}
	var r tokenRequest
	c.Flags().StringVar(&r.group, "group", "", "WorkloadGroup that machines join, NAMESPACE/NAME or NAME")
	c.Flags().DurationVar(&r.ttl, "ttl", time.Hour, "how long the token lives, 1m to 720h, by the cluster's clock")
	c.Flags().Int32Var(&r.uses, "uses", 1, "how many machines may join with it, 1 to 1000")
	c.Flags().StringVar(&r.hostname, "hostname", "", "only a machine of this name may join with it")
	c.Flags().StringSliceVar(&r.cidrs, "cidr", nil, "only machines with an address in this range may join with it (may be repeated)")
	c.Flags().StringVar(&r.manager, "manager", "", "address that machines reach the gateway by, HOST[:PORT], if not the one that the manager found")
	format := addOutput(c, "token", "json", "yaml")
	for flag, complete := range map[string]cobra.CompletionFunc{"group": t.completeGroups} {
		if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // The flag was added above.
		}
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := r.check(); err != nil {
			return err
		}
		kube, namespace, err := t.connect()
		if err != nil {
			return err
		}
		namespace, r.group, err = t.groupRef(r.group, namespace)
		if err != nil {
			return err
		}
		made, err := t.createToken(c.Context(), kube, namespace, r)
		if err != nil {
			return err
		}
		return t.printToken(made, format)
	}
	return c
}

// check finds what is wrong with the request without asking a cluster, and writes its parts in their canonical form.
func (r *tokenRequest) check() error {
	const help = "hawser token create --help"
	switch {
	case r.group == "":
		return problem.New("hawser get groups -A, then hawser token create --group NAMESPACE/NAME", "a token is for one WorkloadGroup: --group is missing")
	case r.ttl < shortest || r.ttl > longest:
		return problem.New(help, "--ttl %s: a token lives 1m to 720h", r.ttl)
	case r.uses < 1 || r.uses > 1000:
		return problem.New(help, "--uses %d: 1 to 1000 machines may join with a token", r.uses)
	}
	if r.hostname != "" {
		if r.uses > 1 {
			return problem.New(help, "--uses %d with --hostname: one name is one machine", r.uses)
		}
		name, err := identity.MachineName(r.hostname)
		if err != nil {
			return &problem.Problem{What: "--hostname: " + err.Error(), Next: "hostname, on the machine", Cause: err}
		}
		r.hostname = name
	}
	for i, cidr := range r.cidrs {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return &problem.Problem{What: "--cidr " + cidr + " is no address range", Next: "--cidr 10.1.0.0/16, or --cidr 10.1.2.3/32 for one address", Cause: err}
		}
		r.cidrs[i] = prefix.Masked().String()
	}
	return nil
}

// createToken makes the JoinToken. Nothing is made unless the group exists and the manager can be joined.
func (t *tool) createToken(ctx context.Context, c *cluster.Cluster, namespace string, r tokenRequest) (issued, error) {
	if _, err := c.Get(ctx, cluster.Groups(), namespace, r.group); err != nil {
		return issued{}, err
	}
	about, err := readInfo(ctx, c, t.managerNamespace)
	if err != nil {
		return issued{}, err
	}
	if r.manager != "" {
		about.manager = r.manager
	}
	if about.manager == "" {
		return issued{}, problem.New("kubectl get services -A -l istio=eastwestgateway   (or give the address with --manager HOST[:PORT])",
			"the manager has found no gateway with an address that machines could reach")
	}
	pin, err := identity.ParsePin(about.pin)
	if err != nil {
		return issued{}, &problem.Problem{What: "ConfigMap " + t.managerNamespace + "/" + infoName + ": " + err.Error(),
			Next: "kubectl -n " + t.managerNamespace + " delete configmap " + infoName + "   (the manager writes it again)", Cause: err}
	}
	token := jointoken.New(namespace, pin)
	object := &v1alpha1.JoinToken{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: "JoinToken"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: token.Name},
		Spec: v1alpha1.JoinTokenSpec{Group: r.group, SecretHash: token.Hash(), MaxUses: r.uses, Hostname: r.hostname, CIDRs: r.cidrs,
			ExpiresAt: metav1.NewTime(t.now().Add(r.ttl))},
	}
	if object, err = create(ctx, c, object, true); err != nil {
		return issued{}, err
	}
	// The cluster's clock counts, not this computer's: the dry run's time of creation tells it.
	object.Spec.ExpiresAt = metav1.NewTime(object.CreationTimestamp.Add(r.ttl))
	object.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: token.Name}
	if object, err = create(ctx, c, object, false); err != nil {
		return issued{}, err
	}
	return newIssued(token, object, about.manager, r.ttl), nil
}

func create(ctx context.Context, c *cluster.Cluster, token *v1alpha1.JoinToken, dry bool) (*v1alpha1.JoinToken, error) {
	object, err := cluster.Encode(token)
	if err != nil {
		return nil, err
	}
	// An empty status is not for the creator to write.
	delete(object.Object, "status")
	created, err := c.Create(ctx, cluster.JoinTokens(), object, dry)
	if err != nil {
		return nil, err
	}
	return cluster.Decode[v1alpha1.JoinToken](created)
}
