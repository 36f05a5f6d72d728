{{- define "gvList" -}}
# API reference

<!-- Made by `make generate` from api/v1alpha1; don't edit. -->

What `kubectl explain hsj` says, on one page. [Pools](pools.md) and [launches](push.md) say how the fields work together;
examples are in [examples.md](examples.md). Fields that are not marked as required are optional.
{{ range . }}{{ range .SortedKinds }}{{ end }}
Group and version: `{{ .GroupVersionString }}`
{{ range .SortedTypes }}{{ template "type" . }}{{ end }}{{ end }}
{{- end -}}

{{- define "type" -}}
{{- if markdownShouldRenderType . }}
## {{ .Name }}

{{ .Doc }}
{{ if .References }}
Used by {{ range $i, $r := .SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $r }}{{ end }}.
{{ end }}{{ if .EnumValues }}
One of {{ range $i, $v := .EnumValues }}{{ if $i }}, {{ end }}`{{ $v.Name }}`{{ end }}.
{{ end }}{{ if .Members }}
| field | type | what it says | default | bounds |
| --- | --- | --- | --- | --- |
{{ range .Members -}}
| `{{ .Name }}` | {{ markdownRenderType .Type }} | {{ if eq .Name "metadata" }}that of any object{{ else }}{{ markdownRenderFieldDoc .Doc }}{{ end }} | {{ with .Default }}`{{ . }}`{{ end }} | {{ range .Validation }}{{ if hasPrefix "Required" . }}required <br />{{ else if not (hasPrefix "Optional" .) }}{{ markdownRenderFieldDoc . }} <br />{{ end }}{{ end }} |
{{ end }}{{ end }}{{ end }}
{{- end -}}
