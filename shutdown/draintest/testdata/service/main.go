// Command service is what draintest is tested with: it stops without a fault, or with the one that
// its flag names.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/signals"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on")
	admin := flag.String("admin", "", "`host:port` of a second server")
	name := flag.String("fault", "none", "what is wrong")
	delay := flag.Duration("delay", 500*time.Millisecond, "how long to go on after the signal")
	grace := flag.Duration("grace", 2*time.Second, "how long requests in flight may take after that")
	secure := flag.Bool("tls", false, "serve HTTPS")
	flag.Parse()
	log.SetFlags(0)
	s := &service{fault: *name, delay: *delay, grace: *grace, tls: *secure, streams: new(shutdown.Tracker)}
	if err := s.run(*addr, *admin); err != nil {
		log.Fatal(err)
	}
	if s.fault == "exit-1" {
		os.Exit(1)
	}
}

type service struct {
	fault   string
	delay   time.Duration
	grace   time.Duration
	tls     bool
	unready atomic.Bool
	leave   <-chan struct{} // closed when the stop begins
	streams *shutdown.Tracker
	srv     *http.Server
}

func (s *service) run(addr, admin string) error {
	switch s.fault { // in how the process is, before it serves
	case "prints-and-exits":
		for range 100_000 {
			fmt.Println("a line that nobody needs, and of which there are too many to be kept anywhere")
		}
		return fmt.Errorf("no license found")
	case "exits":
		return fmt.Errorf("no license found")
	case "elsewhere":
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for s.fault == "mute" {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		c.Close()
	}
	s.srv = &http.Server{Handler: s.handler(), Protocols: new(http.Protocols)}
	s.srv.Protocols.SetHTTP1(true)
	s.srv.Protocols.SetHTTP2(s.tls)
	s.srv.Protocols.SetUnencryptedHTTP2(!s.tls)
	if s.tls { // with the certificate that package httptest has
		ts := httptest.NewTLSServer(nil)
		s.srv.TLSConfig = &tls.Config{Certificates: ts.TLS.Certificates}
		ts.Close()
	}

	var second sync.WaitGroup
	if admin != "" {
		al, err := net.Listen("tcp", admin)
		if err != nil {
			return err
		}
		adminServer := &http.Server{Handler: http.NotFoundHandler()}
		second.Go(func() { _ = adminServer.Serve(al) })
		if s.fault != "second-server" {
			defer second.Wait()
			defer adminServer.Close()
		}
	}
	if stop := classics[s.fault]; stop != nil {
		err = s.classic(l, stop)
	} else {
		err = s.gracekit(l)
	}
	if s.fault == "second-server" {
		second.Wait()
	}
	return err
}

// gracekit stops as it should, but for what is wrong.
func (s *service) gracekit(l net.Listener) error {
	grace := s.grace
	onForce := []signals.Option{}
	switch s.fault {
	case "hangs":
		grace = time.Hour
	case "ignores-second":
		onForce = append(onForce, signals.OnForce(func(os.Signal) {}))
	}
	gs := shutdown.New(shutdown.Delay(s.delay), shutdown.Grace(s.delay+grace),
		shutdown.Logger(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	s.leave = gs.Draining()
	if s.fault == "never-unready" {
		go func() { <-s.leave; s.unready.Store(false) }()
	} else {
		context.AfterFunc(channelContext(s.leave), func() { s.unready.Store(true) })
	}
	if s.fault == "queue" {
		l = &deaf{Listener: l, deafFrom: s.leave, closed: make(chan struct{})}
	}
	if s.fault == "closes-idle" {
		go func() { <-s.leave; s.srv.SetKeepAlivesEnabled(false) }()
	}
	var child *exec.Cmd
	if s.fault == "leaves-child" {
		child = exec.Command("sleep", "60")
		if err := child.Start(); err != nil {
			return err
		}
	}
	_ = gs.AddManager(posixsignal.New(onForce...))
	_ = gs.AddCallback(shutdown.Callback{
		Name: "streams", Phase: shutdown.PhaseIngress, Func: s.streams.Wait,
	})
	_ = gs.GoHTTP("http", s.srv, l)
	if err := gs.Start(context.Background()); err != nil {
		return err
	}
	if s.fault == "sigpipe" {
		signal.Reset(syscall.SIGPIPE)
	}
	err := gs.Wait()
	if s.fault == "exit-1" || s.fault == "second-server" {
		return nil
	}
	// A request that never ends is no failure of the program.
	if err != nil {
		log.Print(err)
	}
	return nil
}

// channelContext ends when c is closed.
func channelContext(c <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-c; cancel() }()
	return ctx
}

// A deaf listener accepts nothing from a moment on, and stays open.
type deaf struct {
	net.Listener
	deafFrom <-chan struct{}
	closed   chan struct{}
	once     sync.Once
}

func (d *deaf) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	select {
	case <-d.deafFrom:
		if err == nil {
			c.Close()
		}
		<-d.closed
		return nil, net.ErrClosed
	default:
		return c, err
	}
}

func (d *deaf) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Listener.Close()
}

// classics are the stops that people write without a library.
var classics = map[string]func(s *service, l net.Listener, serving <-chan error){
	// No handler: the signal ends the process.
	"dies": func(_ *service, _ net.Listener, serving <-chan error) { <-serving },
	"bare-shutdown": func(s *service, _ net.Listener, _ <-chan error) {
		awaitSignal()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = s.srv.Shutdown(ctx)
	},
	"sleep-shutdown": func(s *service, _ net.Listener, _ <-chan error) {
		awaitSignal()
		s.unready.Store(true)
		time.Sleep(s.delay)
		_ = s.srv.Shutdown(context.Background())
	},
	"closes-first": func(s *service, l net.Listener, _ <-chan error) {
		awaitSignal()
		_ = l.Close()
		time.Sleep(s.delay)
		s.unready.Store(true)
		_ = s.srv.Shutdown(context.Background())
	},
	"main-returns": func(s *service, _ net.Listener, serving <-chan error) {
		go func() {
			awaitSignal()
			s.unready.Store(true)
			time.Sleep(s.delay)
			_ = s.srv.Shutdown(context.Background())
		}()
		<-serving
	},
}

func (s *service) classic(l net.Listener, stop func(*service, net.Listener, <-chan error)) error {
	s.leave = make(chan struct{})
	serving := make(chan error, 1)
	go func() { serving <- s.srv.Serve(l) }()
	stop(s, l, serving)
	return nil
}

func awaitSignal() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	<-ctx.Done()
	stop()
	log.Print("stopping")
}
