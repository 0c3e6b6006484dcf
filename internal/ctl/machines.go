package ctl

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hawser-io/hawser/internal/ctl/cluster"
	"github.com/hawser-io/hawser/internal/ctl/table"
)

func (t *tool) getMachinesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "machines [NAME]",
		Aliases: []string{"machine", "vm", "vms"},
		Short:   "Show the machines in the mesh",
		Example: "  hawser get machines -A\n  hawser get machines -n shop --watch\n  hawser get machines ratings-vm-1 -n shop -o yaml",
		Args:    arguments(0, 1, "machine"),
	}
	q := addQuery(c)
	c.ValidArgsFunction = t.completeNames(cluster.Machines())
	c.RunE = func(c *cobra.Command, args []string) error {
		kube, err := q.resolve(t, args)
		if err != nil {
			return err
		}
		if q.objects() {
			return t.showObjects(c.Context(), kube, q, cluster.Machines())
		}
		return t.showMachines(c.Context(), kube, q)
	}
	return c
}

// showMachines writes the table that `kubectl get machines` has, too.
func (t *tool) showMachines(ctx context.Context, c *cluster.Cluster, q *query) error {
	if q.watch {
		return t.machineFeed(c, q).follow(ctx)
	}
	name, options := "", q.options()
	if q.namespace != "" {
		// Asked for by name, a machine that is not there is an error.
		name = q.name
	}
	found, err := c.Table(ctx, cluster.Machines(), q.namespace, name, options)
	if err != nil {
		return err
	}
	return t.machineRows(q)(found, false)
}

func (t *tool) machineFeed(c *cluster.Cluster, q *query) feed[metav1.Table] {
	show := t.machineRows(q)
	return feed[metav1.Table]{
		list: func(ctx context.Context) ([]metav1.Table, string, error) {
			found, err := c.Table(ctx, cluster.Machines(), q.namespace, "", q.options())
			if err != nil {
				return nil, "", err
			}
			return split(found), found.ResourceVersion, nil
		},
		watch: func(ctx context.Context, version string) (watch.Interface, error) {
			options := q.options()
			options.ResourceVersion = version
			return c.WatchTable(ctx, cluster.Machines(), q.namespace, options)
		},
		read: func(object runtime.Object) ([]metav1.Table, error) {
			changed, ok := object.(*metav1.Table)
			if !ok {
				return nil, fmt.Errorf("the cluster sent a %T where a table was expected", object)
			}
			return split(changed), nil
		},
		key: func(one metav1.Table) (string, string) {
			row, err := cluster.RowOf(one.Rows[0])
			if err != nil {
				return "", ""
			}
			return row.Namespace + "/" + row.Name, row.Version
		},
		show: func(tables []metav1.Table, deleted bool) error {
			var merged metav1.Table
			for _, next := range tables {
				if merged.ColumnDefinitions == nil {
					merged.ColumnDefinitions = next.ColumnDefinitions
				}
				merged.Rows = append(merged.Rows, next.Rows...)
			}
			return show(&merged, deleted)
		},
	}
}

// split makes a table of one row each. Columns go along with the first alone, as in a watch.
func split(all *metav1.Table) []metav1.Table {
	var each []metav1.Table
	for _, row := range all.Rows {
		each = append(each, metav1.Table{ColumnDefinitions: all.ColumnDefinitions, Rows: []metav1.TableRow{row}})
	}
	return each
}

// machineRows returns a function that writes a server's tables as one: columns are those of the first table with any.
func (t *tool) machineRows(q *query) func(found *metav1.Table, deleted bool) error {
	var (
		out     *table.Table
		columns []metav1.TableColumnDefinition
	)
	return func(found *metav1.Table, deleted bool) error {
		if len(found.Rows) == 0 {
			fmt.Fprintf(t.ErrOut, "No machines %s. Let one in: hawser token create --group NAMESPACE/NAME\n", q.where())
			return nil
		}
		if out == nil {
			columns = found.ColumnDefinitions
			out = table.New(t.Out, t.coloured(), headers(q, columns)...)
		}
		var rows [][]string
		for _, row := range found.Rows {
			cells, err := rowCells(q, columns, row)
			if err != nil {
				return err
			}
			if deleted {
				cells[len(cells)-1] = "gone"
			}
			rows = append(rows, cells)
		}
		return out.Write(rows...)
	}
}

func headers(q *query, columns []metav1.TableColumnDefinition) []string {
	var names []string
	if q.all {
		names = append(names, "Namespace")
	}
	for _, column := range columns {
		if column.Priority == 0 || q.wide() {
			names = append(names, column.Name)
		}
	}
	return names
}

func rowCells(q *query, columns []metav1.TableColumnDefinition, row metav1.TableRow) ([]string, error) {
	var cells []string
	if q.all {
		object, err := cluster.RowOf(row)
		if err != nil {
			return nil, err
		}
		cells = append(cells, object.Namespace)
	}
	for i, column := range columns {
		if column.Priority != 0 && !q.wide() {
			continue
		}
		cell := ""
		if i < len(row.Cells) && row.Cells[i] != nil {
			cell = fmt.Sprint(row.Cells[i])
		}
		if cell == "" {
			cell = "-"
		}
		cells = append(cells, cell)
	}
	return cells, nil
}
