package ctl

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hawser-io/hawser/internal/ctl/cluster"
)

// patience with a cluster while somebody waits at the tab key.
const patience = 2 * time.Second

// completeNames offers the names of a resource's objects in the namespace that the flags say.
func (t *tool) completeNames(resource schema.GroupVersionResource) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		_, namespace, err := t.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return t.names(c.Context(), resource, namespace), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeGroups offers the groups of all namespaces, as a flag takes them.
func (t *tool) completeGroups(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	kube, namespace, err := t.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	found, err := kube.List(ctx, cluster.Groups(), "", metav1.ListOptions{})
	if err != nil {
		// Not everybody may list all namespaces.
		return t.names(c.Context(), cluster.Groups(), namespace), cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, group := range found.Items {
		names = append(names, group.GetNamespace()+"/"+group.GetName())
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (t *tool) completeNamespaces(root *cobra.Command) {
	complete := func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return t.names(c.Context(), schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, ""), cobra.ShellCompDirectiveNoFileComp
	}
	for _, flag := range []string{"namespace", "manager-namespace"} {
		if err := root.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // The flags were added by New.
		}
	}
}

func (t *tool) names(ctx context.Context, resource schema.GroupVersionResource, namespace string) []string {
	kube, _, err := t.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := kube.List(ctx, resource, namespace, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	var names []string
	for _, object := range found.Items {
		names = append(names, object.GetName())
	}
	return names
}
