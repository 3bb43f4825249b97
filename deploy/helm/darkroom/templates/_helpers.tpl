{{- define "darkroom.labels" -}}
app.kubernetes.io/name: darkroom
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "darkroom.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "darkroom.mlUrl" -}}
{{ .Values.ml.url | default (printf "http://%s-ml:8001" .Release.Name) }}
{{- end }}

{{- define "darkroom.environment" -}}
envFrom:
  - configMapRef: {name: {{ .Release.Name }}-settings}
  {{- with .Values.settingsSecrets }}
  {{- range . }}
  - secretRef: {name: {{ . }}}
  {{- end }}
  {{- end }}
{{- end }}

{{- define "darkroom.mlToken" -}}
{{- with .Values.ml.tokenSecret }}
- name: ML_TOKEN
  valueFrom: {secretKeyRef: {name: {{ . }}, key: token}}
{{- end }}
{{- end }}

{{- define "darkroom.mlEnvironment" -}}
env:
  - {name: DARKROOM_DATA, value: /data}
  # Where the hub's client keeps what it notes for itself.
  - {name: HF_HOME, value: /tmp/hub}
  {{- with .Values.ml.model }}
  - {name: ML_MODEL, value: {{ . | quote }}}
  {{- end }}
  {{- range $name, $value := .Values.ml.environment }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
{{- end }}

{{- define "darkroom.mlMounts" -}}
- {name: models, mountPath: /data}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "darkroom.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "darkroom.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "darkroom.photoMounts" -}}
- {name: photos, mountPath: /photos, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if .Values.uploads.claim }}
- {name: uploads, mountPath: /data/uploads}
{{- end }}
{{- end }}

{{- define "darkroom.photoVolumes" -}}
- name: photos
  persistentVolumeClaim: {claimName: {{ required "photos.claim: the claim with the photographs" .Values.photos.claim }}}
- name: tmp
  emptyDir: {}
{{- with .Values.uploads.claim }}
- name: uploads
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- end }}
