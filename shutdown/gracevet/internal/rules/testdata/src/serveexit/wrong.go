package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	srv := &http.Server{}
	quit := make(chan os.Signal, 1)
	go func() {
		<-quit
		srv.Shutdown(context.Background())
	}()
	srv.ListenAndServe() // want "wait for Shutdown to return"
}

func logged(quit chan os.Signal) {
	srv := &http.Server{}
	go func() {
		<-quit
		srv.Shutdown(context.Background())
	}()
	log.Fatal(srv.ListenAndServe()) // want "the process exits as soon as Shutdown begins"
}

// The wait is there, but the goroutine that serves does not let it happen.
func besides(quit chan os.Signal) {
	srv := &http.Server{}
	go func() {
		if err := srv.ListenAndServe(); err != nil { // want "the process exits as soon as Shutdown begins"
			log.Fatalf("listen: %v", err)
		}
	}()
	<-quit
	srv.Shutdown(context.Background())
}

type service struct{ srv http.Server }

func (s *service) start(l net.Listener) {
	go func() {
		err := s.srv.Serve(l) // want "the process exits as soon as Shutdown begins"
		if err != nil {
			log.Println(err)
			os.Exit(1)
		}
	}()
}

func (s *service) stop() error { return s.srv.Shutdown(context.Background()) }

func (s *service) run(ctx context.Context) error {
	go func() {
		<-ctx.Done()
		s.stop()
		s.srv.Shutdown(context.Background())
	}()
	return s.srv.ListenAndServeTLS("", "") // want "wait for Shutdown to return"
}
