{{/* What the operator does in a namespace with SpreadClusters; docs/operator.md has the same table. */}}
{{- define "spread-operator.rules" -}}
- apiGroups: [spread-operator.dev]
  resources: [spreadclusters]
  verbs: [get, list, watch]
- apiGroups: [spread-operator.dev]
  resources: [spreadclusters/status]
  verbs: [patch]
# Some clusters ask for it of whoever makes children of an object.
- apiGroups: [spread-operator.dev]
  resources: [spreadclusters/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, configmaps, secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, create, patch, delete]
{{- end }}

{{/* What it asks of the whole cluster: nodes, for placement PerNode; namespaces, for copies of client ConfigMaps. */}}
{{- define "spread-operator.clusterRules" -}}
- apiGroups: [""]
  resources: [nodes, namespaces]
  verbs: [list, watch]
{{- end }}
