package confine

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldManager owns the fields that are applied.
const fieldManager = "hawser-confine"

// apply writes the object by server-side apply: fields that others add stay, ours win.
func (c *Controller) apply(ctx context.Context, object client.Object) error {
	encoded, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("encode %T %s: %w", object, client.ObjectKeyFromObject(object), err)
	}
	var content map[string]any
	if err := json.Unmarshal(encoded, &content); err != nil {
		return fmt.Errorf("encode %T %s: %w", object, client.ObjectKeyFromObject(object), err)
	}
	delete(content, "status")
	configuration := client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: content})
	if err := c.client.Apply(ctx, configuration, client.FieldOwner(fieldManager), client.ForceOwnership); err != nil {
		return fmt.Errorf("apply %s %s: %w", object.GetObjectKind().GroupVersionKind().Kind, client.ObjectKeyFromObject(object), err)
	}
	c.logger.Info("confinement of a group applied", "kind", object.GetObjectKind().GroupVersionKind().Kind, "namespace", object.GetNamespace(), "name", object.GetName())
	return nil
}

// remove deletes an object of ours whose group has no machines any more.
func (c *Controller) remove(ctx context.Context, object client.Object) error {
	if err := client.IgnoreNotFound(c.client.Delete(ctx, object)); err != nil {
		return fmt.Errorf("delete %T %s: %w", object, client.ObjectKeyFromObject(object), err)
	}
	c.logger.Info("confinement of a group removed", "kind", fmt.Sprintf("%T", object), "namespace", object.GetNamespace(), "name", object.GetName())
	return nil
}
