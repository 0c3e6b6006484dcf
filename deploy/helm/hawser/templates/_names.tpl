{{/* One installation per cluster: the machines' server name, the CA and the CRDs are constants. So the names are too. */}}

{{- define "hawser.selector" -}}
app.kubernetes.io/name: hawser-manager
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hawser.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "hawser.selector" . }}
app.kubernetes.io/part-of: hawser
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "hawser.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* As a label selector: "istio=eastwestgateway". Keys come sorted. */ -}}
{{- define "hawser.gatewaySelector" -}}
{{- range $key, $value := .Values.gateway.selector }}{{ $key }}={{ $value }},{{ end -}}
{{- end }}

{{- /* What the Job of release.yaml has to have before it. */ -}}
{{- define "hawser.releaseHook" -}}
helm.sh/hook: post-delete
helm.sh/hook-weight: "-1"
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
