module github.com/gracekit/gracekit/examples/migration

go 1.26.0

replace github.com/gracekit/gracekit => ../../

require (
	github.com/go-chi/chi/v5 v5.5.0
	github.com/gracekit/gracekit v0.0.0
	github.com/json-iterator/go v1.1.12
	github.com/stretchr/testify v1.12.1
	golang.org/x/sync v0.24.0
	google.golang.org/grpc v1.85.0
	sigs.k8s.io/controller-runtime v0.25.2
)

require (
	github.com/modern-go/concurrent v0.0.0-20180306012644-bacd9c7ef1dd // indirect
	github.com/modern-go/reflect2 v1.0.3-0.20250322232337-35a7c28c31ee // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
