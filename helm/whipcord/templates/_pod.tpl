{{- /* What pods of all roles have in common, from the values that all roles have. */ -}}

{{- /* (list . "worker"): the fields of a pod that are not its containers or volumes. */ -}}
{{- define "whipcord.pod" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $values := index $root.Values $role -}}
{{- if eq $role "controller" -}}
serviceAccountName: {{ include "whipcord.fullname" $root }}-controller
automountServiceAccountToken: true
{{- else -}}
serviceAccountName: {{ include "whipcord.serviceAccount" $root }}
automountServiceAccountToken: false
{{- end }}
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ toYaml . | nindent 4 | trim }}
    {{- if not .labelSelector }}
    labelSelector:
      matchLabels: {{- include "whipcord.selector" (list $root $role) | nindent 8 }}
    # Those that are there already, of former versions too, would count: they are about to end.
    matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* (list . "worker"): the fields of its container that stand in the values. */ -}}
{{- define "whipcord.container" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
{{- with $values.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.lifecycle }}
lifecycle: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.startupProbe }}
startupProbe: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.livenessProbe }}
livenessProbe: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.readinessProbe }}
readinessProbe: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.extraEnvFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Environment of gateways, workers and controllers. */ -}}
{{- define "whipcord.env" -}}
{{- range $name, $field := dict "POD_NAME" "metadata.name" "POD_IP" "status.podIP" "NODE_NAME" "spec.nodeName" "HOST_IP" "status.hostIP" }}
- name: {{ $name }}
  valueFrom: {fieldRef: {fieldPath: {{ $field }}}}
{{- end }}
- {name: RUST_LOG, value: {{ .Values.log.level | quote }}}
{{- with .Values.otel }}
{{- if .endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .endpoint | quote }}}
{{- with .sampler }}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ . | quote }}}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name={{ $.Release.Namespace }},k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME)
{{- end }}
{{- end }}
{{- end -}}

{{- /* Arguments of gateways, workers and controllers alike: (list . "worker"). */ -}}
{{- define "whipcord.args" -}}
{{- $root := index . 0 -}}
- --cluster-id={{ $root.Values.clusterId }}
- --log-format={{ $root.Values.log.format }}
{{- if eq $root.Values.internalTLS.mode "none" }}
- --insecure-internal
{{- else }}
- --internal-cert=/etc/whipcord/internal/cert.pem
- --internal-key=/etc/whipcord/internal/key.pem
- --internal-ca=/etc/whipcord/internal/ca.pem
{{- end }}
{{- end -}}

{{- /* A flag for each value: (list "--takeover" values). */ -}}
{{- define "whipcord.each" -}}
{{- $flag := index . 0 -}}
{{- range index . 1 }}
- {{ printf "%s=%s" $flag . | quote }}
{{- end }}
{{- end -}}
