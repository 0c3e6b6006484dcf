// Package cluster is the Kubernetes API as the command line needs it, with the caller's own rights. Objects come out as the API
// server has them, without loss of fields that this build does not know, or as tables with the columns of their kind. Every error is a
// problem.Problem that names the next command. There is no other way from the command line to a cluster.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/hawser-io/hawser/internal/ctl/problem"
)

// Cluster is one API server and the caller's identity there.
type Cluster struct {
	config  *rest.Config
	objects dynamic.Interface
}

// New returns the cluster of a client configuration. It makes no request.
func New(config *rest.Config) (*Cluster, error) {
	config = rest.CopyConfig(config)
	if config.QPS == 0 {
		// A person's few requests are not to wait for the client's default limit of 5 a second.
		config.QPS, config.Burst = 50, 100
	}
	// Warnings of the API server are for who writes manifests.
	config.WarningHandler = rest.NoWarnings{}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("read the client configuration: %w", err)
	}
	return &Cluster{config: config, objects: objects}, nil
}

// Get reads one object.
func (c *Cluster) Get(ctx context.Context, resource schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	found, err := c.objects.Resource(resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	return found, request("get", resource, namespace, name).Of(err)
}

// List reads all objects of a namespace, or of all namespaces for an empty one.
func (c *Cluster) List(ctx context.Context, resource schema.GroupVersionResource, namespace string, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	found, err := c.objects.Resource(resource).Namespace(namespace).List(ctx, options)
	return found, request("list", resource, namespace, "").Of(err)
}

// Watch reports changes after the options' resource version, until ctx ends or the API server closes the watch.
func (c *Cluster) Watch(ctx context.Context, resource schema.GroupVersionResource, namespace string, options metav1.ListOptions) (watch.Interface, error) {
	changes, err := c.objects.Resource(resource).Namespace(namespace).Watch(ctx, options)
	return changes, request("watch", resource, namespace, "").Of(err)
}

// Create makes the object and returns it as the API server took it. A dry run checks it, the caller's rights included, and makes
// nothing.
func (c *Cluster) Create(ctx context.Context, resource schema.GroupVersionResource, object *unstructured.Unstructured, dry bool) (*unstructured.Unstructured, error) {
	options := metav1.CreateOptions{FieldManager: "hawser"}
	if dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	created, err := c.objects.Resource(resource).Namespace(object.GetNamespace()).Create(ctx, object, options)
	return created, request("create", resource, object.GetNamespace(), object.GetName()).Of(err)
}

// Merge changes an object by a JSON merge patch.
func (c *Cluster) Merge(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, patch any) (*unstructured.Unstructured, error) {
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("encode a change of %s %s: %w", resource.Resource, name, err)
	}
	changed, err := c.objects.Resource(resource).Namespace(namespace).Patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: "hawser"})
	return changed, request("patch", resource, namespace, name).Of(err)
}

func request(verb string, resource schema.GroupVersionResource, namespace, name string) problem.Request {
	return problem.Request{Verb: verb, Resource: resource.Resource, Group: resource.Group, Namespace: namespace, Name: name}
}

// Decode turns an object as the API server has it into its Go type.
func Decode[T any](object *unstructured.Unstructured) (*T, error) {
	body, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("decode %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	decoded := new(T)
	if err := json.Unmarshal(body, decoded); err != nil {
		return nil, fmt.Errorf("decode %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return decoded, nil
}

// Encode is the reverse of Decode.
func Encode(object any) (*unstructured.Unstructured, error) {
	body, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	encoded := &unstructured.Unstructured{}
	if err := json.Unmarshal(body, &encoded.Object); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return encoded, nil
}
