{{- /* Which Secret holds what. Each pod gets the files of its role alone, and none the authority's key. */ -}}

{{- define "whipcord.keysSecret" -}}
{{- default (printf "%s-keys" (include "whipcord.fullname" .)) .Values.existingSecret -}}
{{- end -}}

{{- define "whipcord.authSecret" -}}
{{- default (include "whipcord.keysSecret" .) .Values.auth.existingSecret -}}
{{- end -}}

{{- /* "true" where the chart makes keys: all, or what signs tokens. */ -}}
{{- define "whipcord.makesKeys" -}}
{{- if not .Values.existingSecret -}}true{{- end -}}
{{- end -}}

{{- /* The file of static keys, if there is one: the chart's own Secret has the test's. */ -}}
{{- define "whipcord.streamKeys" -}}
{{- if .Values.auth.streamKeys -}}
{{ .Values.auth.streamKeys }}
{{- else if and (include "whipcord.makesKeys" .) (not .Values.auth.existingSecret) -}}
stream.keys
{{- end -}}
{{- end -}}

{{- /* The Secret with the token of `helm test`, if there is one, and an address to publish to. */ -}}
{{- define "whipcord.testSecret" -}}
{{- if not (include "whipcord.testUrl" .) -}}
{{- else if .Values.tests.existingSecret -}}
{{ .Values.tests.existingSecret }}
{{- else if and (include "whipcord.makesKeys" .) (eq (include "whipcord.streamKeys" .) "stream.keys") -}}
{{ include "whipcord.keysSecret" . }}
{{- end -}}
{{- end -}}

{{- /* The Secret with Redis's password, if there is one, and its key there. */ -}}
{{- define "whipcord.redisSecret" -}}
{{- if .Values.redis.existingSecret -}}
{{ .Values.redis.existingSecret }}
{{- else if eq .Values.redis.mode "builtin" -}}
{{ include "whipcord.keysSecret" . }}
{{- end -}}
{{- end -}}

{{- define "whipcord.redisKey" -}}
{{- ternary .Values.redis.passwordKey "redis.password" (ne .Values.redis.existingSecret "") -}}
{{- end -}}

{{- /* The volume of a role's certificate: (list . "worker"). */ -}}
{{- define "whipcord.internalVolume" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- if eq $root.Values.internalTLS.mode "certManager" }}
- name: internal
  secret:
    secretName: {{ include "whipcord.fullname" $root }}-internal-{{ $role }}
    items:
      - {key: tls.crt, path: cert.pem}
      - {key: tls.key, path: key.pem}
      - {key: ca.crt, path: ca.pem}
{{- else if eq $root.Values.internalTLS.mode "generated" }}
- name: internal
  secret:
    secretName: {{ include "whipcord.keysSecret" $root }}
    items:
      - {key: {{ $role }}.pem, path: cert.pem}
      - {key: {{ $role }}.key, path: key.pem}
      - {key: ca.pem, path: ca.pem}
{{- end }}
{{- end -}}
