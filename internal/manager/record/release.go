package record

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// ReleaseAll takes the finalizer off all Machines and returns how many had it. It is for when no manager is there any more that would: without it
// neither a Machine nor its namespace could be deleted. The Machines stay, and a manager that comes later goes on with them.
func ReleaseAll(ctx context.Context, api client.Client) (released int, err error) {
	var list v1alpha1.MachineList
	if err := api.List(ctx, &list); err != nil {
		return 0, fmt.Errorf("list the machines: %w", err)
	}
	var errs []error
	for i := range list.Items {
		machine := &list.Items[i]
		if !controllerutil.ContainsFinalizer(machine, v1alpha1.FinalizerLeave) {
			continue
		}
		if err := release(ctx, api, client.ObjectKeyFromObject(machine)); err != nil {
			errs = append(errs, fmt.Errorf("release machine %s/%s: %w", machine.Namespace, machine.Name, err))
			continue
		}
		released++
	}
	return released, errors.Join(errs...)
}

func release(ctx context.Context, api client.Client, key client.ObjectKey) error {
	return client.IgnoreNotFound(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var machine v1alpha1.Machine
		if err := api.Get(ctx, key, &machine); err != nil {
			return err
		}
		if !controllerutil.RemoveFinalizer(&machine, v1alpha1.FinalizerLeave) {
			return nil
		}
		return api.Update(ctx, &machine)
	}))
}
