// Package demo is the gRPC contract of the example.
//
// Go generate needs protoc (Debian: apt-get install protobuf-compiler); the plugins are tools of
// go.mod.
package demo

//go:generate sh -c "protoc --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --plugin=protoc-gen-go-grpc=$(go tool -n protoc-gen-go-grpc) --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative demo.proto"

// What the google.rpc.ErrorInfo of a stream that had to end says: its reason, and the key of the
// position in its metadata.
const (
	ReasonStopping = "SERVER_STOPPING"
	ResumeAfter    = "resume_after"
)
