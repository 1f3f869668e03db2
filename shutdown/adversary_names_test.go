package shutdown_test

// The names by which adversary_model_test.go calls what the harness has. They go when it does.

type (
	advManager = manager
	advGRPC    = grpcServer
	advLog     = logHandler
)

var (
	errAdv  = errTest
	advFind = row
)
