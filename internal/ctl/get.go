package ctl

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hawser-io/hawser/internal/ctl/cluster"
)

func (t *tool) getCommand() *cobra.Command {
	return parent("get", "Show machines or groups", t.getMachinesCommand(), t.getGroupsCommand())
}

// query is what `get` was asked for.
type query struct {
	*output
	all      bool
	watch    bool
	selector string
	// name is empty for all.
	name string
	// namespace is empty for all.
	namespace string
}

func addQuery(c *cobra.Command) *query {
	q := &query{output: addOutput(c, "wide", "json", "yaml", "name")}
	c.Flags().BoolVarP(&q.all, "all-namespaces", "A", false, "of all namespaces")
	c.Flags().BoolVarP(&q.watch, "watch", "w", false, "go on with what changes, until interrupted")
	c.Flags().StringVarP(&q.selector, "selector", "l", "", "only objects with these labels (key=value,…)")
	return q
}

// resolve fills in name and namespace, and connects.
func (q *query) resolve(t *tool, args []string) (*cluster.Cluster, error) {
	c, namespace, err := t.connect()
	if err != nil {
		return nil, err
	}
	if !q.all {
		q.namespace = namespace
	}
	if len(args) > 0 {
		q.name = args[0]
	}
	return c, nil
}

// options selects by label, and by name where one is given: RBAC for one object grants a list and a watch of that name alone.
func (q *query) options() metav1.ListOptions {
	options := metav1.ListOptions{LabelSelector: q.selector}
	if q.name != "" {
		options.FieldSelector = "metadata.name=" + q.name
	}
	return options
}

func (q *query) where() string {
	if q.namespace == "" {
		return "in any namespace"
	}
	return "in namespace " + q.namespace
}

// showObjects writes objects of a resource in a machine-readable form.
func (t *tool) showObjects(ctx context.Context, c *cluster.Cluster, q *query, resource schema.GroupVersionResource) error {
	if q.watch {
		return t.objectFeed(c, q, resource).follow(ctx)
	}
	if q.name != "" && q.namespace != "" {
		object, err := c.Get(ctx, resource, q.namespace, q.name)
		if err != nil {
			return err
		}
		return q.printObject(t.Out, object)
	}
	list, err := c.List(ctx, resource, q.namespace, q.options())
	if err != nil {
		return err
	}
	return q.printList(t.Out, list)
}

func (t *tool) objectFeed(c *cluster.Cluster, q *query, resource schema.GroupVersionResource) feed[unstructured.Unstructured] {
	return feed[unstructured.Unstructured]{
		list: func(ctx context.Context) ([]unstructured.Unstructured, string, error) {
			list, err := c.List(ctx, resource, q.namespace, q.options())
			if err != nil {
				return nil, "", err
			}
			return list.Items, list.GetResourceVersion(), nil
		},
		watch: func(ctx context.Context, version string) (watch.Interface, error) {
			options := q.options()
			options.ResourceVersion = version
			return c.Watch(ctx, resource, q.namespace, options)
		},
		read: func(object runtime.Object) ([]unstructured.Unstructured, error) {
			changed, ok := object.(*unstructured.Unstructured)
			if !ok {
				return nil, fmt.Errorf("the cluster sent a %T where an object was expected", object)
			}
			return []unstructured.Unstructured{*changed}, nil
		},
		key: func(object unstructured.Unstructured) (string, string) {
			return object.GetNamespace() + "/" + object.GetName(), object.GetResourceVersion()
		},
		show: func(objects []unstructured.Unstructured, deleted bool) error {
			for i := range objects {
				if deleted {
					continue
				}
				if err := q.printObject(t.Out, &objects[i]); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
