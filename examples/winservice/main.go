// Command winservice is an HTTP server that Windows runs as a service: its Service Control Manager
// is a [shutdown.Manager], as signals are elsewhere. "sc stop" and the end of Windows let it finish
// the requests in flight.
//
//	go build -C examples -o winservice.exe ./winservice
//
// In a terminal, and on other systems, it runs like any other program, until Ctrl-C. Copy
// manager.go and service_windows.go into a service of your own.
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"os"

	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on")
	logFile := flag.String("log", "", "`file` for the log: a service has no standard error")
	flag.Parse()
	if err := run(*addr, *logFile); err != nil {
		fmt.Fprintln(os.Stderr, "winservice:", err)
		os.Exit(1)
	}
}

func run(addr, logFile string) error {
	out := os.Stderr
	if logFile != "" {
		var err error
		if out, err = os.OpenFile(logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
			return err
		}
		defer out.Close()
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	if asService, err := runAsService(log, addr); asService || err != nil {
		return err
	}
	return serve(log, addr, posixsignal.New(), nil)
}
