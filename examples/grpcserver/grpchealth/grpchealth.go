// Package grpchealth serves what a health.Registry knows by the standard protocol grpc.health.v1,
// which Kubernetes, balancers and grpc clients themselves understand.
//
//	checks.DrainOn(gs.Draining())
//	healthServer, err := grpchealth.New(checks, streams, grpchealth.Service{Name: "livez", Kind: health.Live})
//	grpc_health_v1.RegisterHealthServer(srv, healthServer)
package grpchealth

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	healthserver "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/gracekit/gracekit/health"
)

// A Service is a name that clients can ask for, and what its state depends on.
type Service struct {
	Name   string
	Kind   health.Kind // the default is Ready, which draining ends; a name for liveness probes has to be of kind Live
	Checks []string    // of this kind: those that have to be up, Optional or not, whatever their Grace; none stands for what Report makes of all
}

// A Server is the health service of a gRPC server. It knows the state of the registry from the
// first call on, since it asks for it: the events of the registry only say that there is something
// to send to those who watch.
type Server struct {
	*healthserver.Server // keeps the states, and who watches them
	registry             *health.Registry
	services             []Service
	streams              context.Context // ends when streams have to

	mu sync.Mutex // held while the state is read and set, so that of two updates the later one has the newer state
}

// New returns the health service. It serves these names and "", the server as a whole, which is of
// kind Ready unless it is among them. When streams ends, each Watch ends with the status
// Unavailable, after its client has been sent the last state: without that, one client that watches
// would hold up GracefulStop until it is cut.
//
// Check and List always answer with the state of this moment. A Watch of a Live service does not
// hear of a check's Grace, which begins and runs out without an Event, before the next Event.
//
// The error names a service that comes twice, or depends on a check that the registry does not
// have.
func New(registry *health.Registry, streams context.Context, services ...Service) (*Server, error) {
	s := &Server{Server: healthserver.NewServer(), registry: registry, streams: streams}
	if !slices.ContainsFunc(services, func(s Service) bool { return s.Name == "" }) {
		services = append(services, Service{}) // grpc's own state of "" is SERVING from the beginning to the end
	}
	for _, service := range services {
		if service.Kind == 0 {
			service.Kind = health.Ready
		}
		if err := s.validate(service); err != nil {
			return nil, err
		}
		s.services = append(s.services, service)
	}
	registry.OnChange(func(health.Event) { s.update() }) // before the first update, so that nothing falls between the two
	s.update()
	return s, nil
}

func (s *Server) validate(service Service) error {
	if slices.ContainsFunc(s.services, func(other Service) bool { return other.Name == service.Name }) {
		return fmt.Errorf("grpchealth: two services of the name %q", service.Name)
	}
	known := s.registry.Report(service.Kind).Checks
	for _, name := range service.Checks {
		if !slices.ContainsFunc(known, func(c health.CheckReport) bool { return c.Name == name }) {
			return fmt.Errorf("grpchealth: service %q: the registry has no %v check %q", service.Name, service.Kind, name)
		}
	}
	return nil
}

// update asks the registry for everything anew. That events come late, or that several of them have
// become one, does no harm.
func (s *Server) update() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, service := range s.services {
		state := grpc_health_v1.HealthCheckResponse_NOT_SERVING
		if service.ok(s.registry) {
			state = grpc_health_v1.HealthCheckResponse_SERVING
		}
		s.SetServingStatus(service.Name, state)
	}
}

func (s Service) ok(registry *health.Registry) bool {
	report := registry.Report(s.Kind)
	if len(s.Checks) == 0 || report.State == health.Draining {
		return report.OK()
	}
	return !slices.ContainsFunc(report.Checks, func(c health.CheckReport) bool {
		return slices.Contains(s.Checks, c.Name) && c.State != health.Up
	})
}

// Check answers with the state of this moment: the first one after draining has begun gets
// NOT_SERVING.
func (s *Server) Check(ctx context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	s.update()
	return s.Server.Check(ctx, req)
}

// List is Check for all services.
func (s *Server) List(ctx context.Context, req *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	s.update()
	return s.Server.List(ctx, req)
}

// Watch sends the state, and then each change of it.
func (s *Server) Watch(req *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.streams, cancel)()

	s.update()
	w := &watch{Health_WatchServer: stream, ctx: ctx, last: -1}
	if s.streams.Err() == nil {
		if err := s.Server.Watch(req, w); stream.Context().Err() != nil || s.streams.Err() == nil {
			return err
		}
	}
	last, err := s.Check(ctx, req)
	if err != nil { // Watch answers where Check fails: the protocol wants it to wait for the name
		last = &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN}
	}
	if last.GetStatus() != w.last { // the end has overtaken the news
		_ = stream.Send(last) // if it does not arrive, the end says the same
	}
	return status.Error(codes.Unavailable, "the server stops")
}

// A watch is a stream whose context ends with all streams, and that knows what was sent last.
type watch struct {
	grpc_health_v1.Health_WatchServer
	ctx  context.Context
	last grpc_health_v1.HealthCheckResponse_ServingStatus
}

func (w *watch) Context() context.Context { return w.ctx }

func (w *watch) Send(resp *grpc_health_v1.HealthCheckResponse) error {
	w.last = resp.GetStatus()
	return w.Health_WatchServer.Send(resp)
}
