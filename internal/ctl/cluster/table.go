package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// asTable asks for the form that `kubectl get` shows: the columns are those that the kind defines itself, so that both show the same.
const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io"

// Table reads objects as rows; an empty name means all that the options select.
func (c *Cluster) Table(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, options metav1.ListOptions) (*metav1.Table, error) {
	client, codec, err := c.tables(resource)
	if err != nil {
		return nil, err
	}
	table, verb := &metav1.Table{}, "list"
	get := client.Get().SetHeader("Accept", asTable).NamespaceIfScoped(namespace, namespace != "").Resource(resource.Resource)
	if name != "" {
		get, verb = get.Name(name), "get"
	} else {
		get = get.VersionedParams(&options, codec)
	}
	err = get.Do(ctx).Into(table)
	return table, request(verb, resource, namespace, name).Of(err)
}

// WatchTable reports changes as tables of one row. Only the first carries the columns.
func (c *Cluster) WatchTable(ctx context.Context, resource schema.GroupVersionResource, namespace string, options metav1.ListOptions) (watch.Interface, error) {
	client, codec, err := c.tables(resource)
	if err != nil {
		return nil, err
	}
	options.Watch = true
	changes, err := client.Get().SetHeader("Accept", asTable).NamespaceIfScoped(namespace, namespace != "").
		Resource(resource.Resource).VersionedParams(&options, codec).Watch(ctx)
	return changes, request("watch", resource, namespace, "").Of(err)
}

func (c *Cluster) tables(resource schema.GroupVersionResource) (*rest.RESTClient, runtime.ParameterCodec, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, resource.GroupVersion())
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		return nil, nil, fmt.Errorf("prepare to read tables: %w", err)
	}
	config := rest.CopyConfig(c.config)
	version := resource.GroupVersion()
	config.GroupVersion, config.APIPath = &version, "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("read the client configuration: %w", err)
	}
	return client, runtime.NewParameterCodec(scheme), nil
}

// Row is the object that a row is about.
type Row struct {
	Namespace, Name string
	// Version changes with the object.
	Version string
}

// RowOf returns the object of a row.
func RowOf(row metav1.TableRow) (Row, error) {
	var object metav1.PartialObjectMetadata
	if err := json.Unmarshal(row.Object.Raw, &object); err != nil {
		return Row{}, fmt.Errorf("read whose row this is: %w", err)
	}
	return Row{Namespace: object.Namespace, Name: object.Name, Version: object.ResourceVersion}, nil
}
