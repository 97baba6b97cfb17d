{{/* Names and labels of the chart's objects. */}}
{{- define "spread-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The daemons' network policies let in who has this name. */}}
{{- define "spread-operator.selectorLabels" -}}
app.kubernetes.io/name: spread-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "spread-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "spread-operator.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "spread-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "spread-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.create is false: name the account as serviceAccount.name" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* Reference of an image: (dict "image" … "chart" .Chart) */}}
{{- define "spread-operator.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end }}

{{/* Where the test's SpreadCluster lives: where the operator looks. */}}
{{- define "spread-operator.testNamespace" -}}
{{- if or (empty .Values.watchNamespaces) (has .Release.Namespace .Values.watchNamespaces) -}}
{{- .Release.Namespace -}}
{{- else -}}
{{- first .Values.watchNamespaces -}}
{{- end -}}
{{- end }}

{{- define "spread-operator.testName" -}}
{{- printf "%s-test" (include "spread-operator.fullname" . | trunc 35 | trimSuffix "-") -}}
{{- end }}

{{/* Arguments of the operator: docs/operator.md describes each. */}}
{{- define "spread-operator.arguments" -}}
- --namespace=$(POD_NAMESPACE)
- --identity=$(POD_NAME)
- --listen={{ .Values.listenAddress }}:8080
- --daemon-image={{ include "spread-operator.image" (dict "image" .Values.daemonImage "chart" .Chart) }}
- --log={{ .Values.log.filter }}
{{- if .Values.watchNamespaces }}
- --watch-namespaces={{ join "," .Values.watchNamespaces }}
{{- end }}
{{- end }}

{{/* Labels of the user's are not to move what selectors select. */}}
{{- define "spread-operator.podLabels" -}}
{{- range $name, $value := .Values.podLabels }}
{{- if hasPrefix "app.kubernetes.io/" $name }}
{{- fail (printf "podLabels may not have %s: labels below app.kubernetes.io are the chart's; use a prefix of your own" $name) }}
{{- end }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}
