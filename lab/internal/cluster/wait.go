package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WaitAvailable waits until all wanted replicas of a Deployment are of its newest form and ready, and returns what is
// missing when the context ends before.
func (c *Client) WaitAvailable(ctx context.Context, namespace, name string) error {
	missing := errors.New("not asked yet")
	for {
		err := c.available(ctx, namespace, name)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			missing = err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("deployment %s/%s is not available: %w; see `kubectl -n %s describe pods`", namespace, name, missing, namespace)
		}
	}
}

// WaitAllAvailable waits for all Deployments of a namespace.
func (c *Client) WaitAllAvailable(ctx context.Context, namespace string) error {
	deployments, err := c.Kubernetes.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list deployments of %s: %w", namespace, err)
	}
	for _, deployment := range deployments.Items {
		if err := c.WaitAvailable(ctx, namespace, deployment.Name); err != nil {
			return err
		}
	}
	return nil
}

// available counts ready pods as well as asking the Deployment, whose status may be from an earlier life of the lab.
func (c *Client) available(ctx context.Context, namespace, name string) error {
	deployment, err := c.Kubernetes.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	wanted := int32(1)
	if deployment.Spec.Replicas != nil {
		wanted = *deployment.Spec.Replicas
	}
	if !rolledOut(deployment, wanted) {
		return fmt.Errorf("%d of %d replicas are available", deployment.Status.AvailableReplicas, wanted)
	}
	selector := metav1.FormatLabelSelector(deployment.Spec.Selector)
	pods, err := c.Kubernetes.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return err
	}
	ready := int32(0)
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp == nil && podReady(&pods.Items[i]) {
			ready++
		}
	}
	if ready < wanted {
		return fmt.Errorf("%d of %d pods are ready", ready, wanted)
	}
	return nil
}

func rolledOut(deployment *appsv1.Deployment, wanted int32) bool {
	status := deployment.Status
	return status.ObservedGeneration >= deployment.Generation && status.UpdatedReplicas == wanted &&
		status.AvailableReplicas == wanted && status.Replicas == wanted
}

func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
