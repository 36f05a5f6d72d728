{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{- define "hotstandbyjob.labels" -}}
app.kubernetes.io/name: hotstandbyjob-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "hotstandbyjob.selector" -}}
app.kubernetes.io/name: hotstandbyjob-operator
{{- end }}

{{- define "hotstandbyjob.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* A binding of the role of the same name, cluster-wide or in the release's namespace, to the operator. */}}
{{- define "hotstandbyjob.binding" -}}
{{- $kind := ternary "ClusterRole" "Role" .cluster -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ .name }}
  {{- if not .cluster }}
  namespace: {{ .root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "hotstandbyjob.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: hotstandbyjob-operator
  namespace: {{ .root.Release.Namespace }}
{{- end }}
