{{- /* Where media reaches workers: places, ports, addresses.

A place is what one worker at a time takes new sessions at: a node (hostPort, hostNetwork), or a range of node ports. It has
`slots` ports, of which each version of the pods takes one. So a new worker listens beside the one that drains, and the
scheduler, who knows of host ports, lets it wait where it cannot. */ -}}

{{- define "whipcord.mediaPort" -}}
{{- $default := ternary 30189 8189 (eq .Values.worker.media.exposure "nodePort") -}}
{{- default $default .Values.worker.media.port | int -}}
{{- end -}}

{{- /* "true" where workers are on the host's network or its ports: one per node and port. */ -}}
{{- define "whipcord.onHost" -}}
{{- if has .Values.worker.media.exposure (list "hostPort" "hostNetwork") -}}true{{- end -}}
{{- end -}}

{{- /* The Deployments of workers, as YAML: suffix of the name, replicas, first port, addresses, node. */ -}}
{{- define "whipcord.units" -}}
{{- $media := .Values.worker.media -}}
{{- $port := include "whipcord.mediaPort" . | int -}}
{{- if eq $media.exposure "nodePort" }}
{{- range $index := until (int .Values.worker.replicas) }}
- {suffix: "-{{ $index }}", unit: "{{ $index }}", replicas: 1, port: {{ add $port (mul $index $media.slots) }}, addresses: [], node: ""}
{{- end }}
{{- else if $media.advertise.nodes }}
{{- range $node, $addresses := $media.advertise.nodes }}
{{- $unit := printf "%s-%s" ($node | trunc 20 | replace "." "-" | trimSuffix "-") (sha256sum $node | trunc 6) }}
- {suffix: "-{{ $unit }}", unit: "{{ $unit }}", replicas: 1, port: {{ $port }}, addresses: {{ toJson $addresses }}, node: {{ $node | quote }}}
{{- end }}
{{- else }}
- {suffix: "", unit: "", replicas: {{ .Values.worker.replicas }}, port: {{ $port }}, addresses: [], node: ""}
{{- end }}
{{- end -}}

{{- /* How many workers take new sessions at once. */ -}}
{{- define "whipcord.workers" -}}
{{- if .Values.worker.media.advertise.nodes -}}
{{ len .Values.worker.media.advertise.nodes }}
{{- else if ne .Values.worker.autoscaling.mode "none" -}}
{{ .Values.worker.autoscaling.minReplicas }}
{{- else -}}
{{ .Values.worker.replicas }}
{{- end -}}
{{- end -}}

{{- /* Which slot pods with this hash take: (list . name-of-the-Deployment hash). What runs already keeps its own; else the next. */ -}}
{{- define "whipcord.slot" -}}
{{- $root := index . 0 -}}
{{- $hash := index . 2 -}}
{{- $media := $root.Values.worker.media -}}
{{- $live := lookup "apps/v1" "Deployment" $root.Release.Namespace (index . 1) -}}
{{- $said := dig "metadata" "annotations" (dict) $live -}}
{{- $slot := dig "whipcord.internal/slot" "" $said -}}
{{- if not (kindIs "invalid" $media.slot) -}}
{{ mod (int $media.slot) (int $media.slots) }}
{{- else if eq $slot "" -}}
{{ mod (adler32sum $hash | int64) (int $media.slots) }}
{{- else if eq (dig "whipcord.internal/hash" "" $said) $hash -}}
{{ mod (int $slot) (int $media.slots) }}
{{- else -}}
{{ mod (add1 (int $slot)) (int $media.slots) }}
{{- end -}}
{{- end -}}

{{- /* What WHIPCORD_ADVERTISE is, as the rest of an environment entry: (list . unit). */ -}}
{{- define "whipcord.advertise" -}}
{{- $advertise := (index . 0).Values.worker.media.advertise -}}
{{- with (index . 1).addresses -}}
value: {{ join "," . | quote }}
{{- else -}}
{{- if eq $advertise.from "addresses" -}}
value: {{ join "," $advertise.addresses | quote }}
{{- else if eq $advertise.from "controller" -}}
value: controller
{{- else -}}
valueFrom: {fieldRef: {fieldPath: status.{{ $advertise.from }}}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Where the controller looks for addresses: nowhere, where no worker asks. */ -}}
{{- define "whipcord.controllerAddresses" -}}
{{- ternary .Values.controller.addresses "off" (eq .Values.worker.media.advertise.from "controller") -}}
{{- end -}}
