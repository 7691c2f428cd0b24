{{- define "ksecret.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "ksecret.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "ksecret.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "ksecret.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "ksecret.selector" -}}
app.kubernetes.io/name: {{ include "ksecret.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ksecret.labels" -}}
{{ include "ksecret.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "ksecret.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "ksecret.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed where none is created" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "ksecret.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- /* What the service reads: the values' configuration, listening where the chart's TLS has it listen. */ -}}
{{- define "ksecret.config" -}}
{{- $listen := dict "host" "0.0.0.0" "port" 8200 }}
{{- if .Values.tls.existingSecret }}
{{- $_ := merge $listen (dict "tlsCert" "/etc/ksecret-tls/tls.crt" "tlsKey" "/etc/ksecret-tls/tls.key") }}
{{- if .Values.tls.clientCaSecret }}
{{- $_ := set $listen "tlsClientCa" "/etc/ksecret-client-ca/ca.crt" }}
{{- end }}
{{- else if .Values.tls.behindProxy }}
{{- $_ := set $listen "behindTlsProxy" true }}
{{- else }}
{{- fail "tls.existingSecret is needed; or tls.behindProxy: true, where something else encrypts" }}
{{- end }}
{{- toYaml (merge (dict "version" 1 "listen" $listen "keyRules" "key-rules.yaml") .Values.config (dict "listen" (dict "stopDelay" 5))) }}
{{- end }}
