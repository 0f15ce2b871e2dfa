{{- /* What must not be rendered, and what to do instead. What one value alone can be is the schema's. */ -}}

{{- define "whipcord.checks" -}}
{{- $media := .Values.worker.media -}}
{{- $from := $media.advertise.from -}}
{{- $scaled := ne .Values.worker.autoscaling.mode "none" -}}
{{- $many := or $scaled (gt (int .Values.worker.replicas) 1) -}}
{{- if and (eq $media.exposure "none") (eq $from "hostIP") (not $media.advertise.nodes) -}}
{{- fail "worker.media.exposure=none: nobody brings media from a node's address to a worker. Name the addresses that encoders reach (worker.media.advertise.from=addresses, .addresses=[...]), or say that they have a route to pods (.from=podIP)." -}}
{{- end -}}
{{- if and (eq $from "podIP") (ne $media.exposure "none") -}}
{{- fail "worker.media.advertise.from=podIP: a pod's own address is for worker.media.exposure=none, where encoders have a route to pods. Choose hostIP, or addresses." -}}
{{- end -}}
{{- if and (eq $from "addresses") (not $media.advertise.addresses) -}}
{{- fail "worker.media.advertise.from=addresses: no address is given, and nobody finds one. Name them: worker.media.advertise.addresses=[203.0.113.5]." -}}
{{- end -}}
{{- if and $media.advertise.addresses (ne $from "addresses") -}}
{{- fail (printf "worker.media.advertise.addresses are given, but .from is %s: set worker.media.advertise.from=addresses." $from) -}}
{{- end -}}
{{- if and (eq $from "addresses") $many (ne $media.exposure "nodePort") -}}
{{- fail "worker.media.advertise.addresses would be those of several workers, and each address leads to one. Name each node's (worker.media.advertise.nodes), choose exposure nodePort (each worker has ports of its own), or worker.replicas=1." -}}
{{- end -}}
{{- if and (eq $from "controller") (not .Values.controller.enabled) -}}
{{- fail "worker.media.advertise.from=controller: nobody tells workers their addresses, and they would take no sessions. Set controller.enabled=true." -}}
{{- end -}}
{{- if and (eq $from "controller") $media.advertise.nodes -}}
{{- fail "worker.media.advertise.nodes name addresses that the controller would tell: leave them out, or set worker.media.advertise.from=hostIP." -}}
{{- end -}}
{{- if and (eq $from "controller") (eq .Values.controller.addresses "node") (not (has $media.exposure (list "hostPort" "hostNetwork"))) -}}
{{- fail (printf "controller.addresses=node: with worker.media.exposure=%s a node's address does not lead to a worker's port. Set controller.addresses=service." $media.exposure) -}}
{{- end -}}
{{- if and $media.advertise.nodes (not (has $media.exposure (list "hostPort" "hostNetwork"))) -}}
{{- fail "worker.media.advertise.nodes are for worker.media.exposure hostPort and hostNetwork: a worker on each of these nodes." -}}
{{- end -}}
{{- if and $scaled (or (eq $media.exposure "nodePort") $media.advertise.nodes) -}}
{{- fail "worker.autoscaling: with worker.media.exposure=nodePort or worker.media.advertise.nodes each worker is a Deployment with ports or addresses of its own, and their number is fixed. Set worker.autoscaling.mode=none." -}}
{{- end -}}
{{- if and $scaled (gt (int .Values.worker.autoscaling.minReplicas) (int .Values.worker.autoscaling.maxReplicas)) -}}
{{- fail "worker.autoscaling.minReplicas is more than maxReplicas." -}}
{{- end -}}
{{- if and (eq .Values.worker.autoscaling.mode "keda") (not .Values.worker.autoscaling.prometheus) -}}
{{- fail "worker.autoscaling.mode=keda asks Prometheus: name it, worker.autoscaling.prometheus=http://prometheus.monitoring:9090." -}}
{{- end -}}
{{- if and (eq $media.exposure "hostNetwork") (eq .Values.internalTLS.mode "none") -}}
{{- fail "worker.media.exposure=hostNetwork with internalTLS.mode=none: everybody who reaches the node could command its worker. Choose internalTLS.mode generated or certManager." -}}
{{- end -}}
{{- /* Names alone tell who is a gateway, and nothing else of a certificate: of the default name, and of an authority of many, anybody can be one. */ -}}
{{- if and (eq .Values.internalTLS.mode "certManager") .Values.internalTLS.issuerRef (eq .Values.clusterId "whipcord") -}}
{{- fail "internalTLS.issuerRef with clusterId=whipcord: whoever that issuer gives a certificate for gateway.whipcord.whipcord.internal, the name in every cluster that has not chosen one, is a gateway of this cluster. Set a clusterId of your own, and an issuer that signs for nobody else; or leave issuerRef empty." -}}
{{- end -}}
{{- if and (not (kindIs "invalid" $media.slot)) (ge (int $media.slot) (int $media.slots)) -}}
{{- fail "worker.media.slot is one of 0 to worker.media.slots - 1." -}}
{{- end -}}
{{- $first := include "whipcord.mediaPort" . | int -}}
{{- $ports := ternary (mul .Values.worker.replicas $media.slots) $media.slots (eq $media.exposure "nodePort") | int -}}
{{- $last := sub (add $first $ports) 1 -}}
{{- if and (eq $media.exposure "nodePort") (or (lt $first 30000) (gt $last 32767)) -}}
{{- fail (printf "worker.media.port: node ports are 30000 to 32767, and %d workers with %d slots each need %d to %d." (int .Values.worker.replicas) (int $media.slots) $first $last) -}}
{{- end -}}
{{- if and (eq .Values.worker.recordings.mode "persistentVolumeClaim") (not .Values.worker.recordings.existingClaim) -}}
{{- fail "worker.recordings.mode=persistentVolumeClaim: name the claim, worker.recordings.existingClaim. All workers write into it, so it is ReadWriteMany." -}}
{{- end -}}
{{- if and (eq .Values.redis.mode "external") (not .Values.redis.external.url) -}}
{{- fail "redis.mode=external: where is it? redis.external.url=redis://HOST:PORT" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (ne .Values.tls.mode "none") (not .Values.ingress.enabled) -}}
{{- fail "httpRoute.enabled with tls.mode: the TLS of an HTTPRoute is its Gateway's. Set tls.mode=none." -}}
{{- end -}}
{{- if and (eq .Values.tls.mode "secret") (not .Values.tls.secretName) -}}
{{- fail "tls.mode=secret: which? tls.secretName, with tls.crt and tls.key" -}}
{{- end -}}
{{- if and (eq .Values.tls.mode "certManager") (not .Values.tls.issuerRef) -}}
{{- fail "tls.mode=certManager: who signs? tls.issuerRef={name: ..., kind: ClusterIssuer}" -}}
{{- end -}}
{{- if and (eq .Values.tls.mode "certManager") (not (or .Values.tls.dnsNames .Values.ingress.hosts)) -}}
{{- fail "tls.mode=certManager: for which name? tls.dnsNames=[ingest.example.com]" -}}
{{- end -}}
{{- include "whipcord.checkNamespace" . -}}
{{- include "whipcord.checkKeys" . -}}
{{- end -}}

{{- /* A namespace whose Pod Security level forbids the mode, where the chart can look: its pods would never be made. */ -}}
{{- define "whipcord.checkNamespace" -}}
{{- $namespace := lookup "v1" "Namespace" "" .Release.Namespace -}}
{{- $labels := dig "metadata" "labels" (dict) $namespace -}}
{{- $level := dig "pod-security.kubernetes.io/enforce" "privileged" $labels -}}
{{- if and (include "whipcord.onHost" .) (ne $level "privileged") -}}
{{- fail (printf "worker.media.exposure=%s: the namespace %s enforces the Pod Security level %s, which forbids it. Choose exposure nodePort, or another namespace, or: kubectl label --overwrite namespace %s pod-security.kubernetes.io/enforce=privileged" .Values.worker.media.exposure .Release.Namespace $level .Release.Namespace) -}}
{{- end -}}
{{- end -}}

{{- /* "true" where this render can look into the cluster. The namespace may be about to be made; who makes one sees this one, too. */ -}}
{{- define "whipcord.seesCluster" -}}
{{- if or (lookup "v1" "Namespace" "" .Release.Namespace) (lookup "v1" "Namespace" "" "kube-system") -}}true{{- end -}}
{{- end -}}

{{- /* Keys are made once; who cannot see those that are there would make others with every render. */ -}}
{{- define "whipcord.checkKeys" -}}
{{- if include "whipcord.makesKeys" . -}}
{{- if not (include "whipcord.seesCluster" .) -}}
{{- fail (printf "existingSecret is empty, and this render cannot look into the cluster for keys made before. Make them: whipcord keygen --cluster-id %s keys && mv keys/ca.key . && kubectl -n %s create secret generic whipcord-keys --from-file=keys/   and set existingSecret=whipcord-keys (ca.key renews the certificates: keep it, but not in the cluster)." .Values.clusterId .Release.Namespace) -}}
{{- end -}}
{{- else if and (eq .Values.redis.mode "builtin") (not .Values.redis.existingSecret) -}}
{{- fail (printf "existingSecret is given, and the built-in Redis needs a password, too. Make it: kubectl -n %s create secret generic whipcord-redis --from-literal=password=$(openssl rand -hex 24)   and set redis.existingSecret=whipcord-redis." .Release.Namespace) -}}
{{- end -}}
{{- end -}}
