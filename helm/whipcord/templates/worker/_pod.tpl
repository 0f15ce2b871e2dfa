{{- /* The template of a worker's pod: (list . unit slot). It is rendered twice: what it is at slot 0 tells whether the pods change. */ -}}
{{- define "whipcord.workerPod" -}}
{{- $root := index . 0 -}}
{{- $unit := index . 1 -}}
{{- $slot := index . 2 | int -}}
{{- $worker := $root.Values.worker -}}
{{- $media := $worker.media -}}
{{- $network := eq $media.exposure "hostNetwork" -}}
{{- /* On the host's network these two need ports of their own in each slot, too. */ -}}
{{- $grpc := ternary (add 7001 $slot) 7001 $network -}}
{{- $admin := ternary (add 9101 $slot) 9091 $network -}}
{{- $port := add $unit.port $slot -}}
{{- $recordings := ne $worker.recordings.mode "off" -}}
metadata:
  labels:
    {{- include "whipcord.selector" (list $root "worker") | nindent 4 }}
    whipcord.internal/slot: {{ $slot | quote }}
    {{- with $unit.unit }}
    whipcord.internal/unit: {{ . | quote }}
    {{- end }}
    {{- with $worker.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $worker.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "whipcord.pod" (list $root "worker") | nindent 2 }}
  # A session that began before SIGTERM goes on until the deadline; then those that are left are ended within 10 s, and their recordings finished.
  terminationGracePeriodSeconds: {{ add $worker.drainDeadline 30 }}
  {{- if $network }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  {{- if or $worker.nodeSelector $unit.node }}
  nodeSelector:
    {{- with $unit.node }}
    kubernetes.io/hostname: {{ . | quote }}
    {{- end }}
    {{- with $worker.nodeSelector }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    - name: worker
      image: {{ include "whipcord.image" (list $root.Values.image $root.Chart.AppVersion) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        - worker
        {{- include "whipcord.args" (list $root "worker") | nindent 8 }}
        - --worker-id=$(POD_NAME)
        - --gateway={{ include "whipcord.fullname" $root }}-gateways:7000
        # The pod's own address, which gateways are told, too; on the host's network that is one of the node's.
        - --grpc=$(POD_IP):{{ $grpc }}
        # Elsewhere on loopback, too, by which `kubectl port-forward` comes, and asks /log: NetworkPolicies guard it, but not on the host's network.
        - --admin={{ ternary "$(POD_IP)" "0.0.0.0" $network }}:{{ $admin }}
        - --media=0.0.0.0:{{ $port }}
        - --ice-keys=/etc/whipcord/keys/ice.keys
        - --sessions-max={{ $worker.capacity }}
        - --drain-deadline={{ $worker.drainDeadline }}
        - --data-channel={{ $worker.dataChannel }}
        {{- with $worker.codecs }}
        - --codecs={{ join "," . }}
        {{- end }}
        {{- with $worker.streamMetrics }}
        - --stream-metrics={{ . }}
        {{- end }}
        {{- if $recordings }}
        - --recordings=/recordings
        {{- end }}
        {{- with $worker.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env:
        {{- include "whipcord.env" $root | trim | nindent 8 }}
        - name: WHIPCORD_ADVERTISE
          {{- include "whipcord.advertise" (list $root $unit) | nindent 10 }}
        {{- with $worker.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: media
          containerPort: {{ $port }}
          protocol: UDP
          {{- if include "whipcord.onHost" $root }}
          hostPort: {{ $port }}
          {{- end }}
        # On the host's network the scheduler has to know of them.
        - {name: grpc, containerPort: {{ $grpc }}, protocol: TCP{{ if $network }}, hostPort: {{ $grpc }}{{ end }}}
        - {name: admin, containerPort: {{ $admin }}, protocol: TCP{{ if $network }}, hostPort: {{ $admin }}{{ end }}}
      {{- include "whipcord.container" (list $root "worker") | trim | nindent 6 }}
      volumeMounts:
        - {name: keys, mountPath: /etc/whipcord/keys, readOnly: true}
        {{- if ne $root.Values.internalTLS.mode "none" }}
        - {name: internal, mountPath: /etc/whipcord/internal, readOnly: true}
        {{- end }}
        {{- if $recordings }}
        - {name: recordings, mountPath: /recordings}
        {{- end }}
        {{- with $worker.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: keys
      secret:
        secretName: {{ include "whipcord.keysSecret" $root }}
        items: [{key: ice.keys, path: ice.keys}]
    {{- with include "whipcord.internalVolume" (list $root "worker") | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with include "whipcord.recordings" $worker.recordings | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $worker.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "whipcord.recordings" -}}
{{- if eq .mode "persistentVolumeClaim" }}
- name: recordings
  persistentVolumeClaim: {claimName: {{ .existingClaim }}}
{{- else if eq .mode "ephemeral" }}
- name: recordings
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .storageClassName }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ .size }}}}
{{- else if eq .mode "emptyDir" }}
# In memory: it is full at its size, and writing fails. On the disk the kubelet would end the pod, and all its sessions.
- name: recordings
  emptyDir: {medium: Memory, sizeLimit: {{ .size }}}
{{- end }}
{{- end -}}
