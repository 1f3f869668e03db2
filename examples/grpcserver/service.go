package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gracekit/gracekit/examples/grpcserver/demo"
	"github.com/gracekit/gracekit/reqid"
)

// A service does the work of the server.
type service struct {
	demo.UnimplementedDemoServer
	log        *slog.Logger
	name       string
	next       demo.DemoClient // the server behind this one, or nil
	streams    context.Context // ends when streams have to
	ignoreStop bool
}

// maxMillis bounds what clients may ask for.
const maxMillis = 60_000

func (s *service) Visit(ctx context.Context, req *demo.VisitRequest) (*demo.VisitResponse, error) {
	if req.GetWorkMillis() < 0 || req.GetWorkMillis() > maxMillis {
		return nil, status.Errorf(codes.InvalidArgument, "work_millis is %d, want 0 to %d", req.GetWorkMillis(), maxMillis)
	}
	select {
	case <-time.After(time.Duration(req.GetWorkMillis()) * time.Millisecond):
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	resp := &demo.VisitResponse{Hops: []*demo.Hop{{Server: s.name, RequestId: reqid.FromContext(ctx)}}}
	if s.next == nil {
		return resp, nil
	}
	behind, err := s.next.Visit(ctx, req) // with what is left of the deadline, and with the request ID
	if err != nil {
		return nil, s.ofNext(ctx, err)
	}
	resp.Hops = append(resp.Hops, behind.GetHops()...)
	return resp, nil
}

// ofNext is what our client hears if the server behind fails. Only the status of the client's own
// doing is passed on: its Unavailable would make our client try again what our call has already
// tried again, four times four times.
func (s *service) ofNext(ctx context.Context, err error) error {
	switch code := status.Code(err); code {
	case codes.Canceled, codes.DeadlineExceeded, codes.InvalidArgument:
		return status.Error(code, status.Convert(err).Message())
	default:
		s.log.ErrorContext(ctx, "the server behind has failed", "error", err)
		return status.Error(codes.Internal, "the server behind has failed")
	}
}

func (s *service) Count(req *demo.CountRequest, stream demo.Demo_CountServer) error {
	switch {
	case req.GetAfter() < 0:
		return status.Errorf(codes.InvalidArgument, "after is %d, must not be negative", req.GetAfter())
	case req.GetUpTo() < 0:
		return status.Errorf(codes.InvalidArgument, "up_to is %d, must not be negative", req.GetUpTo())
	case req.GetPauseMillis() < 1 || req.GetPauseMillis() > maxMillis:
		return status.Errorf(codes.InvalidArgument, "pause_millis is %d, want 1 to %d", req.GetPauseMillis(), maxMillis)
	}
	stop := s.streams.Done()
	if s.ignoreStop {
		stop = nil
	}
	ticker := time.NewTicker(time.Duration(req.GetPauseMillis()) * time.Millisecond)
	defer ticker.Stop()
	for last := req.GetAfter(); req.GetUpTo() == 0 || last < req.GetUpTo(); last++ {
		select {
		case <-ticker.C:
		case <-stop:
			return stopping(last)
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
		if err := stream.Send(&demo.CountResponse{Number: last + 1, Server: s.name}); err != nil {
			return err
		}
	}
	return nil
}

// Sum receives in a goroutine of its own, because nothing else can end a stream whose client is
// silent: Recv returns when the client sends, or when the handler has returned.
func (s *service) Sum(stream demo.Demo_SumServer) error {
	ctx := stream.Context() // ends when this function has returned, and with it the goroutine
	type received struct {
		req *demo.SumRequest
		err error
	}
	requests := make(chan received)
	go func() {
		for {
			req, err := stream.Recv()
			select {
			case requests <- received{req, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	var state demo.SumResponse
	for {
		select {
		case r := <-requests:
			if errors.Is(r.err, io.EOF) { // the client has sent all it wanted to
				return nil
			}
			if r.err != nil {
				return r.err
			}
			if resume := r.req.GetResume(); resume != nil {
				if state.GetCount() > 0 {
					return status.Error(codes.InvalidArgument, "resume is in a later message, want it in the first one or in none")
				}
				state.Count, state.Sum = resume.GetCount(), resume.GetSum()
			}
			state.Count++
			state.Sum += r.req.GetNumber()
			if err := stream.Send(&demo.SumResponse{Count: state.GetCount(), Sum: state.GetSum()}); err != nil {
				return err
			}
		case <-s.streams.Done(): // what was not answered is not in the sum, and the client sends it again
			return stopping(state.GetCount())
		}
	}
}

// stopping is the status of a stream that ends because the server does. A client learns from it
// that nothing has failed, so that it need not wait before it goes on, and how far it has come: all
// messages that were sent arrive before their status.
func stopping(position int64) error {
	st := status.Newf(codes.Unavailable, "the server stops after message %d: go on elsewhere", position)
	st, err := st.WithDetails(&errdetails.ErrorInfo{
		Reason:   demo.ReasonStopping,
		Domain:   demo.Demo_ServiceDesc.ServiceName,
		Metadata: map[string]string{demo.ResumeAfter: strconv.FormatInt(position, 10)},
	})
	if err != nil { // only of a status that is OK
		return err
	}
	return st.Err()
}
