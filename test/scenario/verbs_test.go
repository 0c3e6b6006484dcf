//go:build apiserver

package scenario

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/internal/identity"
)

// world is the cluster that all scripts share.
type world struct {
	config *rest.Config
	kube   client.Client
	count  atomic.Int32
}

func (w *world) verbs() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		// apply FILE…: make or replace objects, with $NS in them expanded. A status is written, too.
		"apply": w.apply,
		// refused FILE PATTERN: the API server does not take the object, and says why.
		"refused": w.refused,
		// manager [ADDRESS]: what a manager publishes, as if it had started.
		"manager": w.manager,
		// user NAME ROLE…: a context for a user who has these roles of the chart in $NS, and nothing else.
		"user": w.user,
		// until DURATION PATTERN FILE: wait until the file that a background command writes matches.
		"until": until,
		// remove RESOURCE.GROUP/NAME: delete an object in $NS.
		"remove": w.remove,
	}
}

func (w *world) setup(env *testscript.Env) error {
	namespace := fmt.Sprintf("shop-%d", w.count.Add(1))
	for _, name := range []string{namespace, namespace + "-system"} {
		if err := w.kube.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	env.Setenv("NS", namespace)
	env.Setenv("SYSTEM", namespace+"-system")
	kubeconfig := filepath.Join(env.WorkDir, "kubeconfig")
	env.Setenv("KUBECONFIG", kubeconfig)
	return writeKubeconfig(kubeconfig, w.config, namespace)
}

func (w *world) apply(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args {
		for _, object := range objects(ts, file) {
			ts.Check(w.put(object))
		}
	}
}

func (w *world) refused(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: refused FILE PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	for _, object := range objects(ts, args[0]) {
		if err := w.put(object); err == nil || !pattern.MatchString(err.Error()) {
			ts.Fatalf("%s %s: got %v, want it refused with %s", object.GetKind(), object.GetName(), err, args[1])
		}
	}
}

func objects(ts *testscript.TestScript, file string) []*unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for _, document := range strings.Split(ts.ReadFile(file), "\n---\n") {
		object := &unstructured.Unstructured{}
		ts.Check(yaml.Unmarshal([]byte(os.Expand(document, ts.Getenv)), &object.Object))
		if object.GetNamespace() == "" {
			object.SetNamespace(ts.Getenv("NS"))
		}
		all = append(all, object)
	}
	return all
}

func (w *world) put(object *unstructured.Unstructured) error {
	ctx := context.Background()
	status, hasStatus := object.Object["status"]
	existing := object.DeepCopy()
	err := w.kube.Get(ctx, client.ObjectKeyFromObject(object), existing)
	switch {
	case apierrors.IsNotFound(err):
		err = w.kube.Create(ctx, object)
	case err == nil:
		object.SetResourceVersion(existing.GetResourceVersion())
		err = w.kube.Update(ctx, object)
	}
	if err != nil || !hasStatus {
		return err
	}
	object.Object["status"] = status
	return w.kube.Status().Update(ctx, object)
}

func (w *world) manager(ts *testscript.TestScript, _ bool, args []string) {
	data := map[string]string{"caPin": identity.Pin{}.String(), "version": "0.1.0", "manager": ""}
	if len(args) > 0 {
		data["manager"] = args[0]
	}
	system := ts.Getenv("SYSTEM")
	ts.Check(w.kube.Create(context.Background(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "hawser-info"}, Data: data}))
	everybody := rbac.Subject{APIGroup: rbac.GroupName, Kind: rbac.GroupKind, Name: "system:authenticated"}
	w.grant(ts, system, everybody, rbac.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"hawser-info"}, Verbs: []string{"get"}})
}

func (w *world) user(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: user NAME ROLE…")
	}
	var rules []rbac.PolicyRule
	for _, role := range args[1:] {
		rules = append(rules, chartRules(ts, role)...)
	}
	w.grant(ts, ts.Getenv("NS"), rbac.Subject{APIGroup: rbac.GroupName, Kind: rbac.UserKind, Name: args[0]}, rules...)
	ts.Check(addUser(ts.Getenv("KUBECONFIG"), args[0]))
}

// chartRules reads the rules of a ClusterRole for people from the chart: what it gives is what a scenario's user has.
func chartRules(ts *testscript.TestScript, name string) []rbac.PolicyRule {
	text, err := os.ReadFile("../../deploy/helm/hawser/templates/rbac-users.yaml")
	ts.Check(err)
	// The template's own lines set labels and namespaces, no rules.
	plain := regexp.MustCompile(`(?m)^.*{{.*$`).ReplaceAllString(string(text), "")
	for _, document := range strings.Split(plain, "\n---\n") {
		var role rbac.ClusterRole
		ts.Check(yaml.Unmarshal([]byte(document), &role))
		if role.Name == name && len(role.Rules) > 0 {
			return role.Rules
		}
	}
	ts.Fatalf("the chart has no ClusterRole %s", name)
	return nil
}

func (w *world) grant(ts *testscript.TestScript, namespace string, to rbac.Subject, rules ...rbac.PolicyRule) {
	ctx, name := context.Background(), strings.ReplaceAll(to.Name, ":", "-")
	ts.Check(w.kube.Create(ctx, &rbac.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: rules}))
	ts.Check(w.kube.Create(ctx, &rbac.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: name}, Subjects: []rbac.Subject{to}}))
}

func (w *world) remove(ts *testscript.TestScript, _ bool, args []string) {
	kind, name, _ := strings.Cut(args[0], "/")
	resource, err := w.kube.RESTMapper().KindFor(schema.ParseGroupResource(kind).WithVersion(""))
	ts.Check(err)
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(resource)
	object.SetNamespace(ts.Getenv("NS"))
	object.SetName(name)
	ts.Check(w.kube.Delete(context.Background(), object))
}

func until(ts *testscript.TestScript, _ bool, args []string) {
	patience, err := time.ParseDuration(args[0])
	ts.Check(err)
	pattern, file := regexp.MustCompile(args[1]), ts.MkAbs(args[2])
	var text []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if text, err = os.ReadFile(file); err == nil && pattern.Match(text) {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	ts.Fatalf("%s did not match %q within %s:\n%s", args[2], args[1], args[0], text)
}
