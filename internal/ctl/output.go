package ctl

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/internal/ctl/problem"
)

// output is the value of -o.
type output struct {
	format  string
	allowed []string
}

// addOutput gives a command the flag -o with these formats besides the one for people.
func addOutput(c *cobra.Command, allowed ...string) *output {
	o := &output{allowed: allowed}
	c.Flags().VarP(o, "output", "o", "output format: "+strings.Join(allowed, ", ")+"; without it, text for people")
	err := c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // The flag was added above.
	}
	return o
}

// String, Set and Type make it a flag.
func (o *output) String() string { return o.format }

// Type of the flag's value.
func (o *output) Type() string { return "format" }

// Set refuses formats that the command does not have.
func (o *output) Set(format string) error {
	if !slices.Contains(o.allowed, format) {
		return fmt.Errorf("the formats are %s", strings.Join(o.allowed, ", "))
	}
	o.format = format
	return nil
}

func (o *output) wide() bool { return o.format == "wide" }

// objects reports whether objects are asked for, rather than a table.
func (o *output) objects() bool { return slices.Contains([]string{"json", "yaml", "name"}, o.format) }

// printObject writes an object, or each object of a list by -o name, as kubectl does.
func (o *output) printObject(w io.Writer, object *unstructured.Unstructured) error {
	var printer printers.ResourcePrinter
	switch o.format {
	case "json":
		printer = &printers.JSONPrinter{}
	case "yaml":
		printer = &printers.YAMLPrinter{}
	default:
		printer = &printers.NamePrinter{}
	}
	if err := (&printers.OmitManagedFieldsPrinter{Delegate: printer}).PrintObj(object, w); err != nil {
		return fmt.Errorf("write %s as %s: %w", object.GetName(), o.format, err)
	}
	return nil
}

// printList writes a list as kubectl does: of kind List.
func (o *output) printList(w io.Writer, list *unstructured.UnstructuredList) error {
	if o.format == "name" {
		for i := range list.Items {
			if err := o.printObject(w, &list.Items[i]); err != nil {
				return err
			}
		}
		return nil
	}
	items := make([]any, 0, len(list.Items))
	for i := range list.Items {
		list.Items[i].SetManagedFields(nil)
		items = append(items, list.Items[i].Object)
	}
	return o.printObject(w, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": ""}, "items": items,
	}})
}

// printValue writes a value that is not an object of Kubernetes.
func (o *output) printValue(w io.Writer, value any) error {
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write as %s: %w", o.format, err)
	}
	if o.format == "yaml" {
		if body, err = yaml.JSONToYAML(body); err != nil {
			return fmt.Errorf("write as yaml: %w", err)
		}
	}
	_, err = fmt.Fprintln(w, strings.TrimSuffix(string(body), "\n"))
	return err
}

// groupRef reads NAMESPACE/NAME or NAME; the namespace is the one of the flags then.
func (t *tool) groupRef(text, namespace string) (string, string, error) {
	first, second, both := strings.Cut(text, "/")
	if !both {
		return namespace, text, nil
	}
	if first == "" || second == "" || strings.Contains(second, "/") {
		return "", "", problem.New("hawser get groups -A", "a group is NAMESPACE/NAME or NAME, not %q", text)
	}
	if given := *t.kube.Namespace; given != "" && given != first {
		return "", "", problem.New("the group without its namespace, or no -n", "--group says namespace %s and -n says %s", first, given)
	}
	return first, second, nil
}
