// Whose definitions of kinds the documents' manifests are checked against: see test/docs/others_test.go.
module github.com/paia-tech/hotstandbyjob/tools/crds

go 1.26.0

require (
	github.com/argoproj/argo-workflows/v4 v4.0.5
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/kueue v0.17.0
)
