package guide

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var metricName = regexp.MustCompile(`\b(hawser|process)_[a-z_]+[a-z]\b`)

// metricsInCode are the names that the sources have as string literals.
func metricsInCode(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, source := range []string{"internal/manager/metrics*.go", "internal/agent/metrics/*.go"} {
		files, err := filepath.Glob(filepath.Join("../..", source))
		if err != nil || len(files) == 0 {
			t.Fatalf("no source %s: %v", source, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, literal := range regexp.MustCompile(`"(?:hawser|process)_[a-z_]+"`).FindAllString(string(text), -1) {
				found[strings.Trim(literal, `"`)] = file
			}
		}
	}
	return found
}

func guideOnMetrics(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/guide/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Each metric has a row, and no row, query or alert is about one that does not exist.
func TestEveryMetricIsExplained(t *testing.T) {
	text, inCode := guideOnMetrics(t), metricsInCode(t)
	explained := map[string]bool{}
	for line := range strings.SplitSeq(text, "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 4 {
			if name := strings.Trim(strings.TrimSpace(cells[1]), "`"); metricName.MatchString(name) {
				explained[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(inCode)) {
		if !explained[name] {
			t.Errorf("%s: docs/guide/metrics.md has no row for %s", inCode[name], name)
		}
	}
	for _, name := range metricName.FindAllString(text, -1) {
		if inCode[name] == "" {
			t.Errorf("docs/guide/metrics.md names %s, which no code does", name)
		}
	}
}

// The alerts can be read, and ask for conditions that the guide explains; that their metrics exist is checked above.
func TestAlerts(t *testing.T) {
	_, fenced, _ := strings.Cut(guideOnMetrics(t), "```yaml\n")
	fenced, _, _ = strings.Cut(fenced, "```")
	var object struct {
		Kind string
		Spec struct {
			Groups []struct {
				Rules []struct{ Alert, Expr, For string }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(fenced), &object); err != nil {
		t.Fatal(err)
	}
	if object.Kind != "PrometheusRule" || len(object.Spec.Groups) != 1 {
		t.Fatalf("got %+v", object)
	}
	var alerts []string
	for _, rule := range object.Spec.Groups[0].Rules {
		alerts = append(alerts, rule.Alert+" "+rule.For)
		if !metricName.MatchString(rule.Expr) {
			t.Errorf("%s asks for no metric of Hawser's", rule.Alert)
		}
		for _, condition := range regexp.MustCompile(`condition="(\w+)"`).FindAllStringSubmatch(rule.Expr, -1) {
			if !conditionType(condition[1]) {
				t.Errorf("%s asks for condition %s, which does not exist", rule.Alert, condition[1])
			}
		}
	}
	if want := []string{"HawserMachineNotConnected 5m", "HawserCertificateExpires ", "HawserConfigNotCurrent 10m"}; !slices.Equal(alerts, want) {
		t.Errorf("alerts %q, want %q", alerts, want)
	}
}
