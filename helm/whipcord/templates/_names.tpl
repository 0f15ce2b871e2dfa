{{- /* Names, labels and images. Selector labels never change. */ -}}

{{- define "whipcord.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* 40 characters: what is appended must fit into the 63 of a label, and the 253 of a worker's name. */ -}}
{{- define "whipcord.fullname" -}}
{{- $name := include "whipcord.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "whipcord.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: whipcord
app.kubernetes.io/name: {{ include "whipcord.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Of a role: (list . "worker"). */ -}}
{{- define "whipcord.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "whipcord.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- /* An object's metadata: (list . "worker" "-suffix of its name"). */ -}}
{{- define "whipcord.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "whipcord.fullname" $root }}{{ index . 2 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "whipcord.labels" $root | nindent 2 }}
  {{- with index . 1 }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
{{- end -}}

{{- define "whipcord.serviceAccount" -}}
{{- $default := ternary (include "whipcord.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $default .Values.serviceAccount.name -}}
{{- end -}}

{{- define "whipcord.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default (index . 1) $image.tag }}
{{- end -}}
{{- end -}}

{{- /* Where encoders reach the gateways, if that is known. */ -}}
{{- define "whipcord.publicUrl" -}}
{{- if .Values.gateway.publicUrl -}}
{{ .Values.gateway.publicUrl }}
{{- else if and .Values.ingress.enabled .Values.ingress.hosts -}}
{{ ternary "http" "https" (eq .Values.tls.mode "none") }}://{{ first .Values.ingress.hosts }}
{{- else if and .Values.httpRoute.enabled .Values.httpRoute.hostnames -}}
https://{{ first .Values.httpRoute.hostnames }}
{{- end -}}
{{- end -}}

{{- /* "true" where the gateways have TLS themselves. */ -}}
{{- define "whipcord.gatewayTLS" -}}
{{- if and (ne .Values.tls.mode "none") (not .Values.ingress.enabled) -}}true{{- end -}}
{{- end -}}

{{- /* Where `helm test` publishes: sessions are ended by the public URL in any case, and a certificate is of its name. */ -}}
{{- define "whipcord.testUrl" -}}
{{- if include "whipcord.publicUrl" . -}}
{{ include "whipcord.publicUrl" . | trimSuffix "/" }}
{{- else if not (include "whipcord.gatewayTLS" .) -}}
http://{{ include "whipcord.fullname" . }}:{{ include "whipcord.servicePort" . }}
{{- end -}}
{{- end -}}

{{- define "whipcord.tlsSecret" -}}
{{- default (printf "%s-tls" (include "whipcord.fullname" .)) .Values.tls.secretName -}}
{{- end -}}

{{- define "whipcord.servicePort" -}}
{{- default (ternary 443 80 (eq (include "whipcord.gatewayTLS" .) "true")) .Values.gateway.service.port | int -}}
{{- end -}}
