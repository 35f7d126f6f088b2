{{- define "tidegate.name" -}}
{{- if contains "tidegate" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-tidegate{{ end -}}
{{- end }}

{{- define "tidegate.selector" -}}
app.kubernetes.io/name: tidegate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tidegate.labels" -}}
{{ include "tidegate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "tidegate.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end -}}
{{- end }}

{{/* True where other pods can reach the API: it then needs TLS and callers. */}}
{{- define "tidegate.reachable" -}}
{{- if and .Values.api.tlsSecretName .Values.api.callersSecretName }}true{{ end -}}
{{- end }}

{{/* A command where the API listens on 127.0.0.1 of its pod, which the kubelet does not reach. With TLS the kubelet asks by
itself, without checking the certificate; the two paths need no credentials. */}}
{{- define "tidegate.probe" -}}
{{- if .reachable -}}
httpGet: { scheme: HTTPS, port: api, path: {{ ternary "/readyz" "/healthz" .ready }} }
{{- else -}}
exec: { command: [/usr/bin/tidegate, health{{ if .ready }}, --ready{{ end }}] }
{{- end -}}
{{- end }}
