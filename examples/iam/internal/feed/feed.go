// Package feed is the gRPC contract between apiserver and authzserver.
//
// Go generate needs protoc (Debian: apt-get install protobuf-compiler); the plugins are tools of
// go.mod.
package feed

//go:generate sh -c "protoc --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --plugin=protoc-gen-go-grpc=$(go tool -n protoc-gen-go-grpc) --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative feed.proto"

// MinToken is how many bytes the token has at least that both sides share.
const MinToken = 16
