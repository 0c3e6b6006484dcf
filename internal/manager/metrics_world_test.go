package manager

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// scrape returns what Prometheus reads, without the build's own line, and checks that it can read it.
func scrape(t *testing.T, m *metrics) (string, map[string]*dto.MetricFamily) {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if recorder.Code != http.StatusOK {
		t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(recorder.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	if families["hawser_manager_build_info"] == nil {
		t.Error("the build is not told")
	}
	return withoutBuild(recorder.Body.String()), families
}

func withoutBuild(page string) string {
	return regexp.MustCompile(`(?m)^hawser_manager_build_info{.*\n`).ReplaceAllString(page, "")
}

// samples are the lines of one name.
func samples(page, name string) string {
	return strings.Join(regexp.MustCompile(`(?m)^`+name+`[{ ].*$`).FindAllString(page, -1), "\n")
}

func machineNamed(name string) v1alpha1.Machine {
	end := meta.Unix(1788249600, 0)
	condition := func(kind string, status meta.ConditionStatus) meta.Condition {
		return meta.Condition{Type: kind, Status: status, Reason: "Because"}
	}
	return v1alpha1.Machine{
		ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: name},
		Spec:       v1alpha1.MachineSpec{Group: "ratings"},
		Status: v1alpha1.MachineStatus{
			Revision: "1-31", AgentVersion: "0.1.0", Proxy: &v1alpha1.MachineProxy{Version: "1.31.4"}, AgentCertificateExpiry: &end, ProxyCertificateExpiry: &end,
			Conditions: []meta.Condition{
				condition(v1alpha1.ConditionConnected, meta.ConditionTrue), condition(v1alpha1.ConditionConfigCurrent, meta.ConditionFalse),
				condition(v1alpha1.ConditionProxyReady, meta.ConditionUnknown),
			},
		},
	}
}
