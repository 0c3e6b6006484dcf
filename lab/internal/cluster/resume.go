package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// forgetReadiness marks the node and all pods as not ready. A lab that comes up again finds in etcd what was true when it
// ended, and would take pods for running that the kubelet has yet to start; the kubelet corrects this as it starts them.
func forgetReadiness(ctx context.Context, client *Client) error {
	core := client.Kubernetes.CoreV1()
	node, err := core.Nodes().Get(ctx, NodeName, metav1.GetOptions{})
	if errors.IsNotFound(err) {
		return nil // a new cluster
	}
	if err != nil {
		return fmt.Errorf("read the node: %w", err)
	}
	for i := range node.Status.Conditions {
		if condition := &node.Status.Conditions[i]; condition.Type == corev1.NodeReady {
			condition.Status, condition.Reason, condition.Message = corev1.ConditionFalse, "LabStarted", "the node has just started"
		}
	}
	if _, err := core.Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("mark the node as not ready: %w", err)
	}
	pods, err := core.Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !unready(pod) {
			continue
		}
		if _, err := core.Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil && !errors.IsNotFound(err) {
			return fmt.Errorf("mark pod %s/%s as not ready: %w", pod.Namespace, pod.Name, err)
		}
	}
	return nil
}

// unready takes readiness from a pod and says whether it had any.
func unready(pod *corev1.Pod) bool {
	changed := false
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		ready := condition.Type == corev1.PodReady || condition.Type == corev1.ContainersReady
		if ready && condition.Status == corev1.ConditionTrue {
			condition.Status, condition.Reason = corev1.ConditionFalse, "LabStarted"
			changed = true
		}
	}
	return changed
}
