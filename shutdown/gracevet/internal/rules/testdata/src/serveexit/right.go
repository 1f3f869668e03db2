package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"sync"
)

func waits(quit chan os.Signal) {
	srv := &http.Server{}
	drained := make(chan struct{})
	go func() {
		<-quit
		srv.Shutdown(context.Background())
		close(drained)
	}()
	if err := srv.ListenAndServe(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-drained
}

func waitsDeferred(quit chan os.Signal) error {
	srv := &http.Server{}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Add(1)
	go func() {
		defer wg.Done()
		<-quit
		srv.Shutdown(context.Background())
	}()
	return srv.ListenAndServe()
}

func sequel(quit chan os.Signal) {
	srv := &http.Server{}
	go func() {
		if err := srv.ListenAndServe(); err != nil && err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-quit
	srv.Shutdown(context.Background())
}

func neverShut() {
	srv := &http.Server{}
	log.Fatal(srv.ListenAndServe())
}

// The server is started anew when it is needed: the program goes on without it.
func onDemand(stop chan struct{}) {
	srv := &http.Server{}
	go func() {
		<-stop
		srv.Shutdown(context.Background())
	}()
	srv.ListenAndServe()
}

func first(stop chan struct{}) { go onDemand(stop) }
func again(stop chan struct{}) { go onDemand(stop) }

type stream interface{ Context() context.Context }

// The server lives as long as one request.
func perRequest(s stream) error {
	ctx := s.Context()
	return answer(ctx)
}

func answer(ctx context.Context) error {
	srv := &http.Server{}
	go func() {
		<-ctx.Done()
		srv.Shutdown(context.Background())
	}()
	return srv.ListenAndServe()
}
