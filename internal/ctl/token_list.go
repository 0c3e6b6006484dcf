package ctl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/ctl/cluster"
	"github.com/hawser-io/hawser/internal/ctl/table"
)

func (t *tool) tokenListCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "Show join tokens, without their secrets",
		Example: "  hawser token list -A\n  hawser token list -n shop -o wide",
		Args:    arguments(0, 0, ""),
	}
	format := addOutput(c, "wide", "json", "yaml", "name")
	all := c.Flags().BoolP("all-namespaces", "A", false, "of all namespaces")
	c.RunE = func(c *cobra.Command, _ []string) error {
		kube, namespace, err := t.connect()
		if err != nil {
			return err
		}
		if *all {
			namespace = ""
		}
		list, err := kube.List(c.Context(), cluster.JoinTokens(), namespace, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if format.objects() {
			return format.printList(t.Out, list)
		}
		var tokens []v1alpha1.JoinToken
		for i := range list.Items {
			token, err := cluster.Decode[v1alpha1.JoinToken](&list.Items[i])
			if err != nil {
				return err
			}
			tokens = append(tokens, *token)
		}
		return t.printTokens(tokens, *all, format.wide())
	}
	return c
}

func (t *tool) printTokens(tokens []v1alpha1.JoinToken, all, wide bool) error {
	if len(tokens) == 0 {
		fmt.Fprintln(t.ErrOut, "No join tokens. Make one: hawser token create --group NAMESPACE/NAME")
		return nil
	}
	slices.SortStableFunc(tokens, func(a, b v1alpha1.JoinToken) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), b.Spec.ExpiresAt.Compare(a.Spec.ExpiresAt.Time))
	})
	columns := []string{"Name", "Group", "Status", "Used", "Expires", "For"}
	if all {
		columns = append([]string{"Namespace"}, columns...)
	}
	if wide {
		columns = append(columns, "Used by")
	}
	var rows [][]string
	for _, token := range tokens {
		rows = append(rows, tokenCells(token, t.now(), all, wide))
	}
	return table.New(t.Out, t.coloured(), columns...).Write(rows...)
}

func tokenCells(token v1alpha1.JoinToken, now time.Time, all, wide bool) []string {
	spec := token.Spec
	expires := "in " + duration.HumanDuration(spec.ExpiresAt.Sub(now))
	if !spec.ExpiresAt.After(now) {
		expires = duration.HumanDuration(now.Sub(spec.ExpiresAt.Time)) + " ago"
	}
	restriction := spec.CIDRs
	if spec.Hostname != "" {
		restriction = append([]string{spec.Hostname}, restriction...)
	}
	cells := []string{token.Name, spec.Group, tokenStatus(token, now), fmt.Sprintf("%d/%d", len(token.Status.Uses), spec.MaxUses),
		expires, cmp.Or(strings.Join(restriction, ","), "any")}
	if all {
		cells = append([]string{token.Namespace}, cells...)
	}
	if wide {
		var users []string
		for _, use := range token.Status.Uses {
			users = append(users, use.Machine)
		}
		cells = append(cells, cmp.Or(strings.Join(users, ","), "-"))
	}
	return cells
}

// tokenStatus is why a token can or cannot be joined with.
func tokenStatus(token v1alpha1.JoinToken, now time.Time) string {
	switch {
	case token.Spec.Revoked:
		return "Revoked"
	case len(token.Status.Uses) >= int(token.Spec.MaxUses):
		return "Used"
	case !token.Spec.ExpiresAt.After(now):
		return "Expired"
	}
	return "Active"
}

// since is the age of an object as kubectl writes it.
func since(t, now time.Time) string { return duration.HumanDuration(now.Sub(t)) }
