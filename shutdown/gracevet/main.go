// Command gracevet reports the classic mistakes in how a Go program stops: signals that come too
// early, drains that do not wait, servers and goroutines that are left behind.
//
//	go install github.com/gracekit/gracekit/shutdown/gracevet@latest
//	go vet -vettool=$(which gracevet) ./...
//
// With package patterns it runs that go vet itself, flags included:
//
//	go run github.com/gracekit/gracekit/shutdown/gracevet@latest ./...
//
// "gracevet help" lists the rules, "gracevet help exitskips" explains one. The README has them all,
// and how to silence one on one line.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/gracekit/gracekit/shutdown/gracevet/internal/rules"
)

func main() {
	if ofGoVet(os.Args[1:]) {
		unitchecker.Main(rules.All()...)
	}
	if err := vet(os.Args[1:]); err != nil {
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "gracevet:", err)
		os.Exit(1)
	}
}

// ofGoVet reports whether go vet asks, or somebody who wants help: see unitchecker's protocol.
func ofGoVet(args []string) bool {
	known := []string{"-V=full", "-flags", "-h", "-help", "--help"}
	return len(args) == 0 || args[0] == "help" || slices.ContainsFunc(args, func(arg string) bool {
		return strings.HasSuffix(arg, ".cfg") || slices.Contains(known, arg)
	})
}

// vet runs go vet with this program as its tool.
func vet(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", append([]string{"vet", "-vettool=" + self}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}
