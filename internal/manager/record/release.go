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
		if err := release(ctx, api, api, client.ObjectKeyFromObject(machine), func(*v1alpha1.Machine) bool { return true }); err != nil {
			errs = append(errs, err)
			continue
		}
		released++
	}
	return released, errors.Join(errs...)
}

// release takes the finalizer off a Machine, if may says so of it as it is now; one that is gone is no error.
func release(ctx context.Context, reader Reader, writer Writer, key client.ObjectKey, may func(*v1alpha1.Machine) bool) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var machine v1alpha1.Machine
		if err := reader.Get(ctx, key, &machine); err != nil {
			return err
		}
		if !may(&machine) || !controllerutil.RemoveFinalizer(&machine, v1alpha1.FinalizerLeave) {
			return nil
		}
		return writer.Update(ctx, &machine)
	})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("let machine %s go: %w", key, err)
	}
	return nil
}
