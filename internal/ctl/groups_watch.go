package ctl

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hawser-io/hawser/internal/ctl/cluster"
)

// watchGroups shows the rows again that change. What a row counts is spread over two kinds: a change of either wakes the command,
// which then reads both.
func (t *tool) watchGroups(ctx context.Context, c *cluster.Cluster, q *query) error {
	show := t.groupRows(q)
	for ctx.Err() == nil {
		found, err := readGroups(ctx, c, q)
		if err != nil {
			return ended(ctx, err)
		}
		if err := show(found.rows); err != nil {
			return err
		}
		if err := t.groupChanges(ctx, c, q, found, show); err != nil {
			return ended(ctx, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// groupChanges runs until one of the two watches ends.
func (t *tool) groupChanges(ctx context.Context, c *cluster.Cluster, q *query, from groupList, show func([]groupRow) error) error {
	options := q.options()
	options.ResourceVersion = from.groups
	groups, err := c.Watch(ctx, cluster.Groups(), q.namespace, options)
	if err != nil {
		return err
	}
	defer groups.Stop()
	machines, err := c.Watch(ctx, cluster.Machines(), q.namespace, metav1.ListOptions{ResourceVersion: from.machines})
	if err != nil {
		return err
	}
	defer machines.Stop()
	for wake(groups, machines) {
		found, err := readGroups(ctx, c, q)
		if err != nil {
			return err
		}
		if err := show(found.rows); err != nil {
			return err
		}
	}
	return nil
}

// wake waits for a change and for the ones that come right after it. It returns false when a watch has ended.
func wake(groups, machines watch.Interface) bool {
	var quiet <-chan time.Time
	for {
		var event watch.Event
		var open bool
		select {
		case event, open = <-groups.ResultChan():
		case event, open = <-machines.ResultChan():
		case <-quiet:
			return true
		}
		if !open || event.Type == watch.Error {
			return false
		}
		if quiet == nil {
			quiet = time.After(settle)
		}
	}
}
