package ctl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/ctl/cluster"
	"github.com/hawser-io/hawser/internal/ctl/table"
)

// settle is how long a watch of groups waits for further changes before it shows one.
const settle = 100 * time.Millisecond

func (t *tool) getGroupsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "groups [NAME]",
		Aliases: []string{"group", "workloadgroups", "workloadgroup"},
		Short:   "Show the WorkloadGroups, and how many machines of each are in the mesh",
		Example: "  hawser get groups -A\n  hawser get groups ratings -n shop --watch",
		Args:    arguments(0, 1, "WorkloadGroup"),
	}
	q := addQuery(c)
	c.ValidArgsFunction = t.completeNames(cluster.Groups())
	c.RunE = func(c *cobra.Command, args []string) error {
		kube, err := q.resolve(t, args)
		if err != nil {
			return err
		}
		switch {
		case q.objects():
			return t.showObjects(c.Context(), kube, q, cluster.Groups())
		case q.watch:
			return t.watchGroups(c.Context(), kube, q)
		}
		found, err := readGroups(c.Context(), kube, q)
		if err != nil {
			return err
		}
		return t.groupRows(q)(found.rows)
	}
	return c
}

// groupRow is a WorkloadGroup with its machines counted.
type groupRow struct {
	namespace, name                   string
	machines, connected, healthy      int
	network, serviceAccount, revision string
	age                               string
}

type groupList struct {
	rows []groupRow
	// versions of the lists that the rows come from, to watch from.
	groups, machines string
}

func readGroups(ctx context.Context, c *cluster.Cluster, q *query) (groupList, error) {
	groups := &unstructured.UnstructuredList{}
	if q.name != "" && q.namespace != "" && !q.watch {
		one, err := c.Get(ctx, cluster.Groups(), q.namespace, q.name)
		if err != nil {
			return groupList{}, err
		}
		groups.Items = append(groups.Items, *one)
	} else {
		var err error
		if groups, err = c.List(ctx, cluster.Groups(), q.namespace, q.options()); err != nil {
			return groupList{}, err
		}
	}
	machines, err := c.List(ctx, cluster.Machines(), q.namespace, metav1.ListOptions{})
	if err != nil {
		return groupList{}, err
	}
	members := make([]v1alpha1.Machine, 0, len(machines.Items))
	for i := range machines.Items {
		machine, err := cluster.Decode[v1alpha1.Machine](&machines.Items[i])
		if err != nil {
			return groupList{}, err
		}
		members = append(members, *machine)
	}
	return groupList{rows: countMachines(groups.Items, members, time.Now()), groups: groups.GetResourceVersion(), machines: machines.GetResourceVersion()}, nil
}

// countMachines makes a row for each group, sorted by namespace and name.
func countMachines(groups []unstructured.Unstructured, machines []v1alpha1.Machine, now time.Time) []groupRow {
	rows := make([]groupRow, 0, len(groups))
	for i := range groups {
		group := &groups[i]
		row := groupRow{namespace: group.GetNamespace(), name: group.GetName(), age: since(group.GetCreationTimestamp().Time, now)}
		row.network, _, _ = unstructured.NestedString(group.Object, "spec", "template", "network")
		row.serviceAccount, _, _ = unstructured.NestedString(group.Object, "spec", "template", "serviceAccount")
		row.serviceAccount = cmp.Or(row.serviceAccount, "default")
		var revisions []string
		for _, m := range machines {
			if m.Namespace != row.namespace || m.Spec.Group != row.name {
				continue
			}
			row.machines++
			if meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.ConditionConnected) {
				row.connected++
			}
			if meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.ConditionHealthy) {
				row.healthy++
			}
			if m.Status.Revision != "" {
				revisions = append(revisions, m.Status.Revision)
			}
		}
		slices.Sort(revisions)
		row.revision = strings.Join(slices.Compact(revisions), ",")
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b groupRow) int {
		return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
	})
	return rows
}

func (r groupRow) cells(q *query) []string {
	cells := []string{r.name, of(r.connected, r.machines), of(r.healthy, r.machines),
		cmp.Or(r.network, "-"), r.serviceAccount, cmp.Or(r.revision, "-")}
	if q.all {
		cells = append([]string{r.namespace}, cells...)
	}
	if q.wide() {
		cells = append(cells, r.age)
	}
	return cells
}

func of(some, all int) string { return fmt.Sprintf("%d/%d", some, all) }

// groupRows returns a function that writes rows into one table, those that are not as they were written last.
func (t *tool) groupRows(q *query) func([]groupRow) error {
	columns := []string{"Name", "Connected", "Healthy", "Network", "Account", "Revision"}
	if q.all {
		columns = append([]string{"Namespace"}, columns...)
	}
	if q.wide() {
		columns = append(columns, "Age")
	}
	out, last, told := table.New(t.Out, t.coloured(), columns...), map[string]groupRow{}, false
	return func(rows []groupRow) error {
		if len(rows) == 0 && !told {
			told = true
			fmt.Fprintf(t.ErrOut, "No WorkloadGroups %s. Make one: docs/guide/quickstart.md shows how\n", q.where())
		}
		var fresh [][]string
		for _, row := range rows {
			row, key := row, row.namespace+"/"+row.name
			aged := row
			row.age = ""
			if known, ok := last[key]; !ok || known != row {
				fresh = append(fresh, aged.cells(q))
			}
			last[key] = row
		}
		if len(fresh) == 0 {
			return nil
		}
		return out.Write(fresh...)
	}
}
